"""The reader: what it keeps, what it refuses, and in which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuneward.data import Code, Problem, Severity, iter_rows, read_rows
from tuneward.data.problems import MAX_PER_LINE
from tuneward.errors import DataError
from tuneward.types import Row


def user(text: str = "What is 2 + 2?", **extra: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **extra}


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Any], list[Row | Problem]]:
    """Write bytes, or one object as a line, and read them."""

    def _read(content: Any) -> list[Row | Problem]:
        path = tmp_path / "train.jsonl"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode() + b"\n")
        return list(iter_rows(path))

    return _read


def only_problem(items: list[Row | Problem]) -> Problem:
    assert [type(item) for item in items] == [Problem], items
    assert isinstance(items[0], Problem)
    return items[0]


def test_a_row_keeps_its_fields_and_extras_win_over_metadata(read):
    function = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
    tools = [{"type": "function", "function": function}]
    (row,) = read(
        {
            "id": "a",
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "2 +"}, {"type": "text", "text": " 2?"}]},
            ],
            "reference_answer": {"value": 4},
            "tools": tools,
            "metadata": {"level": "easy", "source": "book"},
            "level": "hard",
            "test_cases": [1, 2],
        }
    )
    assert row == Row(
        id="a",
        messages=({"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}),
        reference_answer={"value": 4},
        metadata={"level": "hard", "source": "book", "test_cases": [1, 2]},
        tools=tuple(tools),
        line=1,
    )


def test_tool_calls_may_stand_in_for_content(read):
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    (row,) = read(
        {
            "messages": [
                {"role": "user", "content": "Go."},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "done"},
            ]
        }
    )
    assert row.messages[1] == {"role": "assistant", "content": "", "tool_calls": [call]}
    assert row.messages[2] == {"role": "tool", "content": "done", "tool_call_id": "c1"}


def test_a_problem_reads_as_one_actionable_line(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(
        json.dumps(user()) + "\n" + json.dumps({"messages": [user()["messages"][0], {"role": "agent", "content": "x"}]})
    )
    problem = list(iter_rows(path))[-1]
    assert str(problem) == (
        f'{path}, line 2: messages[1].role is "agent"; expected system, user, assistant or tool. Use "assistant".'
    )


@pytest.mark.parametrize(
    ("line", "code", "place", "words"),
    [
        (b'{"messages": [}', Code.JSON, "", "column 15"),
        (b"[1, 2]", Code.JSON, "", "an array; expected an object"),
        (b"null", Code.JSON, "", "null; expected an object"),
        (b'{"messages": [], "x": NaN}', Code.JSON, "", "NaN"),
        (b'{"x": -Infinity}', Code.JSON, "", "-Infinity"),
        (b'{"x": 1e999}', Code.JSON, "", "1e999"),
        (b'{"x": ' + b"9" * 5000 + b"}", Code.JSON, "", "5000 digits"),
        (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", Code.JSON, "", "100 deep"),
        (b'{"x": ' + b"[" * 150 + b"]" * 150 + b"}", Code.JSON, "", "100 deep"),
        (b'{"x": "\xff"}', Code.ENCODING, "", "byte 8 of the line (0xff)"),
        ("{}".encode("utf-16"), Code.ENCODING, "", "UTF-16"),
        (b'{"messages": [{"role": "user", "content": "\\uD83D"}]}', Code.ENCODING, "", "surrogate"),
        ({"message": []}, Code.SCHEMA, "messages", "messages is missing"),
        ({"messages": []}, Code.SCHEMA, "messages", "an empty array"),
        ({"messages": "hello"}, Code.SCHEMA, "messages", '"hello"'),
        ({"messages": ["hello", user()["messages"][0]]}, Code.SCHEMA, "messages[0]", '"hello"'),
        ({"messages": [{"role": "system", "content": "x"}]}, Code.SCHEMA, "messages", "no user message"),
        ({"messages": [*user()["messages"], {"content": "x"}]}, Code.ROLE, "messages[1].role", "missing"),
        ({"messages": [*user()["messages"], {"role": ["a"], "content": "x"}]}, Code.ROLE, "messages[1].role", "array"),
        (user("  \n"), Code.EMPTY_CONTENT, "messages[0].content", "empty"),
        ({"messages": [{"role": "user", "content": []}]}, Code.EMPTY_CONTENT, "messages[0].content", "empty"),
        ({"messages": [{"role": "user", "content": None}]}, Code.SCHEMA, "messages[0].content", "null"),
        ({"messages": [{"role": "user"}]}, Code.SCHEMA, "messages[0].content", "missing"),
        ({"messages": [{"role": "user", "content": 7}]}, Code.SCHEMA, "messages[0].content", "7"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]},
            Code.NON_TEXT,
            "messages[0].content[0].type",
            "image_url",
        ),
        ({"messages": [{"role": "user", "content": ["x"]}]}, Code.SCHEMA, "messages[0].content[0]", "text part"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            Code.SCHEMA,
            "messages[0].content[0]",
            "text part",
        ),
        (
            {"messages": [{"role": "user", "content": "x", "tool_calls": "f"}]},
            Code.SCHEMA,
            "messages[0].tool_calls",
            "list",
        ),
        ({"messages": [{"role": "user", "content": "x", "name": 3}]}, Code.SCHEMA, "messages[0].name", "string"),
        (user(id=""), Code.ID, "id", "not empty"),
        (user(id=12), Code.ID, "id", "12"),
        (user(metadata=[]), Code.SCHEMA, "metadata", "object"),
        (user(tools={}), Code.TOOLS, "tools", "list"),
        (user(tools=["f"]), Code.TOOLS, "tools[0]", "object"),
    ],
)
def test_an_unusable_line_gives_one_error_that_names_its_place(read, line, code, place, words):
    problem = only_problem(read(line))
    assert (problem.severity, problem.code, problem.field, problem.line) == (Severity.ERROR, code, place, 1)
    assert words in problem.message


@pytest.mark.parametrize(
    ("change", "severity", "place"),
    [
        ({"type": "code"}, Severity.ERROR, "tools[0].type"),
        ({"function": None}, Severity.ERROR, "tools[0].function"),
        ({"name": ""}, Severity.ERROR, "tools[0].function.name"),
        ({"name": "g"}, Severity.ERROR, "tools[1].function.name"),
        ({"description": " "}, Severity.WARNING, "tools[0].function.description"),
        ({"parameters": {"type": "array"}}, Severity.ERROR, "tools[0].function.parameters"),
        ({"parameters": {"type": "object"}}, Severity.ERROR, "tools[0].function.parameters.properties"),
        (
            {"parameters": {"type": "object", "properties": {}, "required": "a"}},
            Severity.ERROR,
            "tools[0].function.parameters.required",
        ),
    ],
)
def test_each_rule_for_tools_names_its_place(read, change, severity, place):
    def tool(name: str) -> dict[str, Any]:
        parameters = {"type": "object", "properties": {}, "required": []}
        return {"type": "function", "function": {"name": name, "description": "d", "parameters": parameters}}

    changed = tool("f")
    for key, value in change.items():
        (changed if key in changed else changed["function"])[key] = value
    problems = [item for item in read(user(tools=[changed, tool("g")])) if isinstance(item, Problem)]
    assert [(problem.severity, problem.field) for problem in problems] == [(severity, place)]


@pytest.mark.parametrize(
    ("row", "severity", "code"),
    [
        (user("Assistant: hi"), Severity.WARNING, Code.ROLE_MARKER),
        (user("end [eos]"), Severity.WARNING, Code.ROLE_MARKER),
        (user("a <Image> of"), Severity.WARNING, Code.ROLE_MARKER),
        (user(reference_answer=""), Severity.WARNING, Code.REFERENCE),
        (user(reference_answer={}), Severity.WARNING, Code.REFERENCE),
        (user(reference_answer=None), Severity.WARNING, Code.REFERENCE),
        (user(reference_answer=0), Severity.INFO, Code.REFERENCE),
        (user(reference_answer=[1]), Severity.INFO, Code.REFERENCE),
        (user(tools=[]), Severity.WARNING, Code.TOOLS),
        (
            {"messages": [*user()["messages"], {"role": "system", "content": "x"}]},
            Severity.WARNING,
            Code.ROLE_ORDER,
        ),
        (
            {"messages": [*user()["messages"], {"role": "assistant", "content": "4"}]},
            Severity.WARNING,
            Code.ENDS_WITH_ANSWER,
        ),
        ({"messages": [{"role": "user", "content": "x", "weight": 1}]}, Severity.INFO, Code.UNUSED_FIELD),
    ],
)
def test_a_doubtful_row_is_kept_and_remarked_upon(read, row, severity, code):
    problem, kept = read(row)
    assert isinstance(kept, Row)
    assert (problem.severity, problem.code) == (severity, code)


def test_a_clean_row_gives_no_remark(read):
    (row,) = read(user(reference_answer="4", id="a"))
    assert row.id == "a"


def test_bom_crlf_and_blank_lines_are_passed_over(read):
    line = json.dumps(user()).encode()
    items = read(b"\xef\xbb\xbf" + line + b"\r\n\r\n  \t\n" + line)
    assert [(type(item), item.line) for item in items] == [(Problem, 1), (Row, 1), (Row, 4)]
    assert items[0].severity is Severity.INFO
    assert items[2].id == "row-4"


def test_an_id_used_twice_names_the_first_line(read):
    lines = [user("a", id="row-3"), user("b", id="x"), user("c")]
    items = read("\n".join(json.dumps(line) for line in lines).encode())
    assert [item.id for item in items if isinstance(item, Row)] == ["row-3", "x"]
    assert (items[-1].code, items[-1].line) == (Code.ID, 3)
    assert "line 1" in items[-1].message


@pytest.mark.parametrize("content", [b"", b"\n \n\r\n"])
def test_a_file_without_rows_is_an_error(read, content):
    problem = only_problem(read(content))
    assert (problem.code, problem.line) == (Code.FILE, 0)


def test_missing_files_and_folders_are_errors_in_words(tmp_path):
    folder = tmp_path / "rows.jsonl"
    folder.mkdir()
    assert "no such file" in str(only_problem(list(iter_rows(tmp_path / "absent.jsonl"))))
    assert "this is a folder" in str(only_problem(list(iter_rows(folder))))


def test_another_file_name_is_a_warning(tmp_path):
    path = tmp_path / "train.json"
    path.write_text(json.dumps(user()))
    problem, row = iter_rows(path)
    assert (problem.code, problem.severity) == (Code.FILE_NAME, Severity.WARNING)
    assert isinstance(row, Row)


def test_findings_of_one_line_are_capped_and_counted(read):
    items = read({"messages": [{"role": "agent", "content": "x"}] * 1000})
    assert len(items) == MAX_PER_LINE + 1
    assert items[-1].code is Code.MORE
    assert "951 further" in items[-1].message  # 1,000 roles and the missing user message, less the 50 kept


def test_read_rows_names_the_first_ten_problems_and_the_next_step(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(user()) + "\n" + "{\n" * 13)
    with pytest.raises(DataError) as caught:
        read_rows(path)
    lines = str(caught.value).split("\n")
    assert [line.partition(": ")[0] for line in lines[:10]] == [f"{path}, line {n}" for n in range(2, 12)]
    assert lines[10:] == ["… and 3 more.", f"For the whole list: tuneward validate {path}"]


def test_read_rows_tolerates_warnings(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(user("User: x")) + "\n" + json.dumps(user("y")))
    assert [row.line for row in read_rows(path)] == [1, 2]


def test_read_rows_refuses_more_rows_than_a_job_takes(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(user(str(n))) + "\n" for n in range(4)))
    assert len(read_rows(path, max_rows=4)) == 4
    with pytest.raises(DataError, match="more than 3 rows"):
        read_rows(path, max_rows=3)
