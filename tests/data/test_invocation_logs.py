"""Logged calls → rows: every form of body, every filter, and a count of what was left out and why."""

from __future__ import annotations

import contextlib
import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuneward.config.server import StorageConfig
from tuneward.data import invocation_logs, log_lines
from tuneward.data.invocation_logs import LogReport, convert_logs
from tuneward.data.logged_bodies import UnusableError, answer_of, messages_of, tools_of
from tuneward.data.metadata_filters import keeps
from tuneward.data.objects import ObjectStore
from tuneward.data.reader import read_rows
from tuneward.errors import DataError
from tuneward.jobs.spec import LogsSource, MetadataFilters

FOLDER = "logs/AWSLogs/123456789012/BedrockModelInvocationLogs/us-east-1/2026/01/02/03"
ANSWER = {"output": {"message": {"role": "assistant", "content": [{"text": "5"}, {"text": "6"}]}}}


def asked(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"text": text}]}]}


def record(request: object, answer: object = ANSWER, **more: object) -> dict[str, Any]:
    made: dict[str, Any] = {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-01-02T03:04:05Z",
        "operation": "Converse",
        "input": {"inputContentType": "application/json", "inputBodyJson": request, "inputTokenCount": 3},
        "output": {"outputContentType": "application/json", "outputBodyJson": answer, "outputTokenCount": 1},
    }
    return made | more


class Logs:
    """A bucket of logs, and what they convert to."""

    def __init__(self, folder: Path):
        self.bucket = folder / "objects" / "bucket"
        self.bucket.mkdir(parents=True)
        self.store = ObjectStore(StorageConfig(folder=folder / "objects"))
        self.target = folder / "rows.jsonl"
        self.count = 0

    def add(self, *records: object, pack: Callable[[bytes], bytes] = gzip.compress, name: str = "") -> None:
        self.count += 1
        content = b"".join(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in records)
        self.put(name or f"{FOLDER}/20260102T030405Z_{self.count:04}.json.gz", pack(content))

    def put(self, key: str, content: bytes) -> None:
        self.store.upload(content, f"s3://bucket/{key}")

    def convert(
        self, *, answers: bool = False, filters: MetadataFilters | None = None, supervised: bool = False
    ) -> LogReport:
        source = LogsSource(uri="s3://bucket/logs", use_prompt_response=answers, filters=filters)
        return convert_logs(self.store, source, self.target, supervised=supervised)

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.target.read_text().splitlines()]

    @property
    def prompts(self) -> list[str]:
        return [row["messages"][-1]["content"] for row in self.rows]


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def test_logged_calls_become_prompts(logs: Logs) -> None:
    logs.add(record(asked("7*8?")), record({"system": [{"text": "Be brief."}], **asked("1+1?")}))
    logs.add(record(asked("2+2?")), pack=lambda content: content)
    report = logs.convert()
    assert logs.rows == [
        {"messages": [{"role": "user", "content": "7*8?"}]},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"}]},
        {"messages": [{"role": "user", "content": "2+2?"}]},
    ]
    assert (report.objects, report.records, report.kept, dict(report.skipped)) == (2, 3, 3, {})
    assert len(read_rows(logs.target)) == 3


def test_answers_become_references_or_what_is_to_be_learned(logs: Logs) -> None:
    logs.add(record(asked("7*8?")))
    logs.convert(answers=True)
    assert logs.rows == [{"messages": [{"role": "user", "content": "7*8?"}], "reference_answer": "56"}]
    logs.convert(answers=True, supervised=True)
    assert logs.rows[0]["messages"] == [
        {"role": "user", "content": "7*8?"},
        {"role": "assistant", "content": "56"},
    ]
    with pytest.raises(DataError, match="usePromptResponse"):
        logs.convert(supervised=True)


def test_what_cannot_be_used_is_counted_with_its_reason(logs: Logs) -> None:
    image = {"messages": [{"role": "user", "content": [{"text": "what?"}, {"image": {"format": "png"}}]}]}
    logs.add(
        record(asked("good")),
        record(asked("good")),
        record(asked("failed"), errorCode="ThrottlingException"),
        record(image),
        record({"unknown": 1}),
        record(asked("")),
        record({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{"}]}),
        {"schemaType": "Other"},
        b"{oops\n",
        b"\n",
        record(asked("no answer"), answer={"output": {"message": {"content": [{"toolUse": {}}]}}}),
        {**record(asked("no input")), "input": None},
    )
    report = logs.convert(answers=True)
    assert (logs.prompts, report.kept, report.records) == (["good"], 1, 11)
    assert report.skipped == {
        "the same prompt came before": 1,
        "the call failed": 1,
        "the request holds something that is not text": 1,
        "the request has a form that is not known": 1,
        "no usable prompt, such as one without text or without a user's message": 1,
        "the request ends with the beginning of an answer": 1,
        "no log record": 2,
        "the answer has no text": 1,
        "no input in it": 1,
    }
    assert "11 records in 1 objects, 1 rows; 2 skipped: no log record" in str(report)


def test_nothing_usable_is_an_error_that_says_what_was_there(logs: Logs) -> None:
    with pytest.raises(DataError, match="0 records in 0 objects"):
        logs.convert()
    logs.add(record(asked("failed"), errorCode="X"))
    with pytest.raises(DataError, match=r"no logged call there can be used \(1 records .* 1 skipped: the call failed"):
        logs.convert()


def test_large_bodies_are_read_from_their_own_objects(logs: Logs) -> None:
    base = f"{FOLDER}/data/req-1"
    logs.put(f"{base}_input.json.gz", gzip.compress(json.dumps(asked("long " * 30_000)).encode()))
    logs.put(f"{base}_output.json.gz", json.dumps([{"outputText": "a"}, {"outputText": "b"}]).encode())
    one = record(asked("unused"))
    one["input"] = {"inputBodyS3Path": f"s3://bucket/{base}_input.json.gz"}
    one["output"] = {"outputBodyS3Path": f"s3://bucket/{base}_output.json.gz"}
    logs.add(one)
    report = logs.convert(answers=True)
    assert (report.objects, report.kept, logs.rows[0]["reference_answer"]) == (1, 1, "ab")
    assert len(logs.prompts[0]) == 150_000


def test_a_record_cannot_point_out_of_its_bucket(logs: Logs) -> None:
    other = logs.bucket.parent / "other"
    other.mkdir()
    (other / "secret").write_text(json.dumps(asked("secret")))
    one = record(asked("x"))
    one["input"] = {"inputBodyS3Path": "s3://other/secret"}
    logs.add(one, record(asked("good")))
    assert logs.convert().skipped == {"its body lies in another bucket": 1}
    assert logs.prompts == ["good"]


def test_a_missing_body_is_an_error_that_names_it(logs: Logs) -> None:
    one = record(asked("x"))
    one["input"] = {"inputBodyS3Path": f"s3://bucket/{FOLDER}/data/gone.json.gz"}
    logs.add(one)
    with pytest.raises(DataError, match=r"gone\.json\.gz does not exist"):
        logs.convert()


def test_an_object_that_is_cut_short_gives_what_it_has(logs: Logs) -> None:
    rows = [record(asked(f"{n}")) for n in range(2000)]
    logs.add(*rows, pack=lambda content: gzip.compress(content)[:-2000])
    logs.add(record(asked("later")))
    report = logs.convert()
    assert 2 <= report.kept < 2001
    assert logs.prompts[-1] == "later"
    assert report.skipped["the rest of an object that is no whole gzip file"] == 1


def test_packed_objects_may_have_several_parts(logs: Logs) -> None:
    parts = [json.dumps(record(asked(text))).encode() + b"\n" for text in ("a", "b")]
    logs.put(f"{FOLDER}/x.json.gz", b"".join(gzip.compress(part) for part in parts))
    logs.convert()
    assert logs.prompts == ["a", "b"]


def test_a_line_without_end_is_passed_over(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "MAX_LINE_BYTES", 1000)
    short = record(asked("b"))
    assert len(json.dumps(short)) < 1000
    logs.add(record(asked("a" * 5000)), short, record(asked("c" * 999)))
    assert logs.convert().skipped == {"longer than 1,000 bytes": 2}
    assert logs.prompts == ["b"]


def test_too_many_prompts_are_an_error(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation_logs, "MAX_PROMPTS", 3)
    logs.add(*[record(asked(f"{n % 3}")) for n in range(9)])
    assert logs.convert().kept == 3
    logs.add(record(asked("one more")))
    with pytest.raises(DataError, match="more than 3 different prompts"):
        logs.convert()


def test_memory_does_not_grow_with_the_logs(logs: Logs) -> None:
    def peak(count: int) -> int:
        lines = (json.dumps(record(asked(f"{n} " + "x" * 20_000))).encode() + b"\n" for n in range(count))
        with gzip.open(logs.bucket / "logs.gz", "wb", compresslevel=1) as file:
            file.writelines(lines)
        source = LogsSource(uri="s3://bucket/logs.gz")
        tracemalloc.start()
        report = convert_logs(logs.store, source, logs.target, supervised=False)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert report.kept == count
        return size

    peak(10)
    assert peak(500) < peak(50) + (4 << 20)  # 10 MB against 1 MB


def test_tools_and_metadata_go_with_the_prompt(logs: Logs) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    config = {"tools": [{"toolSpec": {"name": "w", "description": "Weather.", "inputSchema": {"json": schema}}}]}
    logs.add(record({**asked("Rain?"), "toolConfig": config}, requestMetadata={"team": "a"}))
    logs.convert()
    function = {"name": "w", "description": "Weather.", "parameters": schema}
    assert logs.rows[0]["tools"] == [{"type": "function", "function": function}]
    assert logs.rows[0]["metadata"] == {"team": "a"}
    assert tools_of({"tools": [{"name": "w", "description": "Weather.", "input_schema": schema}]}) == [
        {"type": "function", "function": function}
    ]
    assert tools_of({"tools": [{"type": "function", "function": function}]}) == [
        {"type": "function", "function": function}
    ]


USER = [{"role": "user", "content": "7*8?"}]
REQUESTS = {
    "converse": asked("7*8?"),
    "converse with a cache point": {"messages": [{"role": "user", "content": [{"text": "7*8?"}, {"cachePoint": {}}]}]},
    "parts are joined": {"messages": [{"role": "user", "content": [{"text": "7*"}, {"text": "8?"}]}]},
    "nova": {"schemaVersion": "messages-v1", **asked("7*8?"), "inferenceConfig": {"maxTokens": 5}},
    "claude": {"anthropic_version": "bedrock-2023-05-31", "messages": [{"role": "user", "content": "7*8?"}]},
    "claude in blocks": {"messages": [{"role": "user", "content": [{"type": "text", "text": "7*8?"}]}]},
    "openai and qwen": {"messages": [{"role": "user", "content": "7*8?"}], "max_completion_tokens": 5},
    "a prompt": {"prompt": "7*8?", "max_tokens": 5},
    "titan": {"inputText": "7*8?", "textGenerationConfig": {}},
    "responses": {"model": "m", "input": "7*8?"},
    "responses in items": {"input": [{"role": "user", "content": [{"type": "input_text", "text": "7*8?"}]}]},
}


@pytest.mark.parametrize("form", REQUESTS)
def test_every_form_of_request_gives_the_same_prompt(form: str) -> None:
    assert messages_of(REQUESTS[form]) == USER


@pytest.mark.parametrize(
    "system",
    [
        {"system": [{"text": "Be"}, {"text": "brief."}], "messages": USER},
        {"system": "Be\nbrief.", "messages": USER},
        {"system": [{"type": "text", "text": "Be\nbrief."}], "messages": USER},
        {"messages": [{"role": "developer", "content": "Be\nbrief."}, *USER]},
        {"instructions": "Be\nbrief.", "input": "7*8?"},
    ],
)
def test_every_form_of_system_prompt_comes_first(system: object) -> None:
    assert messages_of(system) == [{"role": "system", "content": "Be\nbrief."}, *USER]


def test_a_conversation_keeps_its_turns() -> None:
    turns = [*USER, {"role": "assistant", "content": "56"}, {"role": "user", "content": "sure?"}]
    assert messages_of({"messages": turns}) == turns


@pytest.mark.parametrize(
    "body",
    [
        None, [], "text", {}, {"messages": []}, {"messages": ["x"]}, {"messages": {}}, {"prompt": 5},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "text": "x"}]}]},
        {"messages": [{"role": "user", "content": [{"document": {}}]}]},
        {"messages": [{"role": "user", "content": [{"toolResult": {}}]}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}, *USER]},
        {"system": [{"guardContent": {}}], "messages": USER},
        {"input": [{"type": "function_call_output", "output": "x"}]},
        {"input": "and?", "previous_response_id": "resp_1"},
    ],
)  # fmt: skip
def test_requests_that_are_not_text_are_not_used(body: object) -> None:
    with pytest.raises(UnusableError):
        messages_of(body)


ANSWERS = {
    "converse and nova": ANSWER,
    "with reasoning": {
        "output": {"message": {"content": [{"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": "56"}]}}
    },
    "claude": {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "56"}]},
    "openai": {"choices": [{"message": {"role": "assistant", "content": "56"}}]},
    "older openai": {"choices": [{"text": "56"}]},
    "older claude": {"completion": "56"},
    "titan": {"results": [{"outputText": "56"}]},
    "llama": {"generation": "56"},
    "mistral": {"outputs": [{"text": "56"}]},
    "responses": {"output": [{"type": "reasoning"}, {"content": [{"type": "output_text", "text": "56"}]}]},
    "nova's stream": [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "5"}, "contentBlockIndex": 0}},
        {"contentBlockDelta": {"delta": {"text": "6"}, "contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
    ],
    "claude's stream": [
        {"type": "message_start", "message": {"content": []}},
        {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "56"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    ],
    "openai's stream": [
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"delta": {"content": "56"}}]},
        {"choices": []},
    ],
    "titan's stream": [{"outputText": "5"}, {"outputText": "6"}],
}


@pytest.mark.parametrize("form", ANSWERS)
def test_every_form_of_answer_gives_its_text(form: str) -> None:
    assert answer_of(ANSWERS[form]) == "56"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["messages", "role", "content", "text", "system", "prompt", "input", "output", "message", "choices",
             "delta", "contentBlockDelta", "tools", "toolConfig", "toolSpec", "type", "user", "results"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_no_body_breaks_the_conversion(body: object) -> None:
    for convert in (messages_of, answer_of):
        with contextlib.suppress(UnusableError):
            convert(body)
    tools_of(body)


KEYS, VALUES = st.sampled_from(["team", "env", "task"]), st.sampled_from(["a", "b", ""])
METADATA = st.dictionaries(KEYS, VALUES)
PAIR = st.tuples(KEYS, VALUES).map(lambda pair: dict([pair]))
CONDITION = st.tuples(st.sampled_from(["equals", "not_equals"]), PAIR).map(lambda one: dict([one]))


@given(METADATA, PAIR)
def test_not_equals_keeps_just_what_equals_does_not(metadata: dict[str, str], pair: dict[str, str]) -> None:
    ((key, value),) = pair.items()
    assert keeps(MetadataFilters(equals=pair), metadata) == (key in metadata and metadata[key] == value)
    assert keeps(MetadataFilters(not_equals=pair), metadata) != keeps(MetadataFilters(equals=pair), metadata)


@given(METADATA, st.lists(CONDITION, min_size=1, max_size=16))
def test_and_all_needs_every_condition_and_or_all_one(metadata: dict[str, str], conditions: list[Any]) -> None:
    alone = [keeps(MetadataFilters(**condition), metadata) for condition in conditions]
    assert keeps(MetadataFilters(and_all=conditions), metadata) == all(alone)
    assert keeps(MetadataFilters(or_all=conditions), metadata) == any(alone)


@given(st.none() | st.text() | st.lists(st.text()) | st.dictionaries(KEYS, st.integers()))
def test_without_usable_metadata_a_call_differs_from_everything(metadata: object) -> None:
    assert keeps(None, metadata)
    assert keeps(MetadataFilters(not_equals={"team": "a"}), metadata)
    assert not keeps(MetadataFilters(equals={"team": "a"}), metadata)


def test_filters_choose_records(logs: Logs) -> None:
    logs.add(
        record(asked("a"), requestMetadata={"team": "a"}),
        record(asked("b"), requestMetadata={"team": "b"}),
        record(asked("none")),
    )
    report = logs.convert(filters=MetadataFilters(equals={"team": "a"}))
    assert (logs.prompts, report.skipped) == (["a"], {"not what the filters ask for": 2})
    logs.convert(filters=MetadataFilters(not_equals={"team": "a"}))
    assert logs.prompts == ["b", "none"]
