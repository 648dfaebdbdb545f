"""What graders see: the whole row as `item`, the answer without its reasoning as `sample`."""

from __future__ import annotations

import json

from tuneward.rewards.openai.case import case_of_sample
from tuneward.types import Row, Sample

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'


def row(**metadata: object) -> Row:
    return Row("row-3", ({"role": "user", "content": "hi"},), {"v": 1}, metadata, (TOOL,), 3)


def test_the_item_is_the_whole_row() -> None:
    case = case_of_sample(Sample("s", row(code="E11", messages="mine"), ""))
    assert case.item["code"] == "E11"
    assert case.item["messages"] == [{"role": "user", "content": "hi"}]
    assert case.item["reference_answer"] == {"v": 1}
    assert case.item["tools"] == [TOOL]
    assert case.item["metadata"]["code"] == "E11"
    assert "reference_answer" not in case_of_sample(Sample("s", Row("r", ()), "")).item


def test_reasoning_is_not_part_of_the_answer() -> None:
    def text(completion: str) -> str:
        return str(case_of_sample(Sample("s", row(), completion)).sample["output_text"])

    assert text("<think>\n7*8 is 56\n</think>\n\n56") == "56"
    assert text("7*8 is 56\n</think>\n56\n") == "56\n"
    assert text("<think>7*8 is") == ""
    assert text("I think 56") == "I think 56"


def test_calls_of_tools_are_read_from_the_text() -> None:
    sample = case_of_sample(Sample("s", row(), f"Let me see.\n{CALL}\n<tool_call>oops</tool_call>")).sample
    (call,) = sample["output_tools"]
    assert (call["type"], call["function"]["name"]) == ("function", "add")
    assert json.loads(call["function"]["arguments"]) == {"a": 1}
    assert sample["output_text"] == "Let me see."
    assert sample["choices"][0]["finish_reason"] == "tool_calls"
    assert sample["choices"][0]["message"]["tool_calls"] == [call]


def test_without_tools_in_the_row_such_text_stays_text() -> None:
    sample = case_of_sample(Sample("s", Row("r", ()), CALL)).sample
    assert sample["output_tools"] == []
    assert sample["output_text"] == CALL


def test_any_json_value_is_parsed() -> None:
    for text, value in (("5", 5), ("null", None), ('"a"', "a"), ('[{"a": 1}]', [{"a": 1}])):
        case = case_of_sample(Sample("s", row(), text))
        assert (case.is_json, case.sample["output_json"]) == (True, value)
    assert not case_of_sample(Sample("s", row(), "Infinity")).is_json
