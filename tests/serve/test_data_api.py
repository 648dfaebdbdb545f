"""A look at rows before there is a job: uploaded, in object storage, or logged."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient
from tests.jobs.engine import PATIENCE_S
from tests.service import app_with

from tuneward.config import LimitsConfig, ServedModelConfig, ServerConfig, StorageConfig
from tuneward.data.lines import iter_lines
from tuneward.serve.api import data as data_api
from tuneward.serve.server import Server, bind

PLAIN = {"kind": "uri", "uri": "s3://bucket/rows.jsonl"}


def row(text: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **fields}


def call(text: str, **metadata: str) -> dict[str, Any]:
    answer = {"output": {"message": {"role": "assistant", "content": [{"text": "yes"}]}}}
    return {
        "schemaType": "ModelInvocationLog",
        "input": {"inputBodyJson": {"messages": [{"role": "user", "content": [{"text": text}]}]}},
        "output": {"outputBodyJson": answer},
        "requestMetadata": metadata,
    }


def lines(*values: object) -> bytes:
    return b"".join(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in values)


class Place:
    """A server with a bucket."""

    def __init__(self, home: Path, model: Path):
        self.bucket = home / "objects" / "bucket"
        self.bucket.mkdir(parents=True)
        config = ServerConfig(
            models=(ServedModelConfig(name=str(model), id="tiny"), ServedModelConfig(name="smollm2-135m", id="absent")),
            storage=StorageConfig(folder=home / "objects"),
            limits=LimitsConfig(upload_bytes=100_000),
        )
        self.app = app_with(home, config=config)
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def put(self, key: str, content: bytes) -> str:
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"s3://bucket/{key}"

    def upload(self, *values: object) -> dict[str, str]:
        sent = {"file": ("rows.jsonl", lines(*values))}
        answer = self.client.post("/v1/files", data={"purpose": "user_data"}, files=sent)
        return {"kind": "file", "file_id": answer.json()["id"]}

    def inspect(self, source: dict[str, Any], status: int = 200, **fields: Any) -> dict[str, Any]:
        answer = self.client.post("/api/data/inspect", json={"source": source, **fields})
        assert answer.status_code == status, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def keys(self, **source: Any) -> dict[str, Any]:
        answer = self.client.post("/api/data/logs/keys", json={"source": {"kind": "logs", **source}})
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]


@pytest.fixture
def place(tmp_path: Path, tiny_chat_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("TUNEWARD_HOME", str(tmp_path / "data"))
    made = Place(tmp_path / "home", tiny_chat_model)
    with made.client:
        yield made


def test_rows_of_a_file_are_counted_and_shown(place: Place) -> None:
    source = place.upload(
        row("How many?", reference_answer={"n": 1}, topic="sums"), row("Who?", reference_answer="me"), row("Why?")
    )
    found = place.inspect(source, model="tiny", limit=2)
    assert found["ok"]
    assert (found["train"]["rows"], found["train"]["without_reference"], found["train"]["size"]) == (3, 1, "a trial")
    assert [(shown["line"], shown["reference_answer"], shown["metadata"]) for shown in found["rows"]] == [
        (1, '{"n": 1}', '{"topic": "sums"}'),
        (2, "me", None),
    ]
    assert found["rows"][0]["messages"] == [{"role": "user", "content": "How many?", "is_cut": False}]
    # A byte-level tokenizer: three tokens of turns that are one byte each, and the bytes in between.
    assert found["rows"][0]["tokens"] - found["rows"][1]["tokens"] == len("How many?") - len("Who?")
    assert found["split"] == {"train": 2, "validation": 1}
    assert not any(group["code"] == "file_name" for group in found["problems"])


def test_problems_are_told_by_line_with_what_to_do(place: Place) -> None:
    broken = [b'{"messages": oops}\n'] * 30
    found = place.inspect(place.upload(row("a"), {"messages": [{"role": "agent", "content": "x"}]}, *broken))
    assert not found["ok"]
    first, *_ = found["problems"]
    assert (first["severity"], first["code"], first["count"], len(first["examples"])) == ("error", "json", 30, 20)
    assert first["examples"][0] == {
        "file": "training",
        "line": 3,
        "field": "",
        "message": "the line is not valid JSON at column 14: Expecting value.",
        "fix": "Put one complete JSON object on each line.",
    }
    role = next(group for group in found["problems"] if group["code"] == "role")
    assert (role["examples"][0]["line"], role["examples"][0]["fix"]) == (2, 'Use "assistant".')
    assert found["train"]["bad_lines"] == 31


def test_a_validation_source_is_compared(place: Place) -> None:
    train = place.upload(row("one"), row("two"), row("two"))
    held_out = place.upload(row("one"), row("TWO "), row("three"))
    found = place.inspect(train, validation=held_out)
    assert found["overlap"] == {"same": 1, "nearly": 1}
    assert found["train"]["duplicates"] == 1
    assert found["split"] == {"train": 3, "validation": 3}
    leak = next(group for group in found["problems"] if group["code"] == "leak")
    assert leak["examples"][0]["file"] == "validation"


def test_lengths_are_the_models_own(place: Place) -> None:
    place.put("rows.jsonl", lines(*(row("x" * n) for n in range(1, 101)), row("x" * 2000)))
    found = place.inspect(PLAIN, model="tiny", max_tokens=1000)
    lengths = found["train"]["lengths"]
    assert lengths["count"] == 101
    assert sum(bar["rows"] for bar in lengths["histogram"]) == 101
    shortest = lengths["min"]
    assert {int(share): tokens - shortest for share, tokens in lengths["percentiles"].items()} == {
        50: 50, 90: 90, 95: 95, 99: 99,
    }  # fmt: skip
    assert found["train"]["too_long"] == 1
    # One row is twenty times as long as the others: it may go.
    assert shortest + 99 <= found["suggested_max_tokens"] < shortest + 99 + 64
    assert sum(found["split"].values()) == 100


def test_without_a_model_that_is_here_lengths_are_not_counted(place: Place) -> None:
    place.put("rows.jsonl", lines(row("a"), row("b")))
    assert place.inspect(PLAIN)["lengths_note"] is None
    found = place.inspect(PLAIN, model="absent")
    assert (found["train"]["lengths"], found["suggested_max_tokens"]) == (None, None)
    assert "not on this machine yet" in found["lengths_note"]
    assert place.inspect(PLAIN, status=404, model="unknown")["error"]["param"] == "model"


def test_conversations_count_with_their_answers(place: Place) -> None:
    pair = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    place.put("rows.jsonl", lines({"messages": pair}, {"messages": pair[:1]}))
    found = place.inspect(PLAIN, method="supervised", model="tiny")
    assert (found["train"]["rows"], found["train"]["bad_lines"], found["max_tokens"]) == (1, 1, 2048)
    assert "nothing to learn" in found["problems"][0]["examples"][0]["message"]
    alone = place.inspect(PLAIN, model="tiny")["rows"][1]["tokens"]
    assert found["rows"][0]["tokens"] > alone
    assert not any(group["code"] == "reference" for group in found["problems"])


def test_what_cannot_be_fetched_is_refused_with_a_reason(place: Place) -> None:
    missing = place.inspect({"kind": "uri", "uri": "s3://bucket/none.jsonl"}, status=400)
    assert missing["error"]["param"] == "source"
    assert "does not exist" in missing["error"]["message"]
    place.put("large.jsonl", b"x" * 100_001)
    large = place.inspect({"kind": "uri", "uri": "s3://bucket/large.jsonl"}, status=400)
    assert "name a smaller object" in large["error"]["message"]
    place.put("rows.jsonl", lines(row("a")))
    other = place.inspect(PLAIN, status=400, validation={"kind": "uri", "uri": "s3://none/x"})
    assert other["error"]["param"] == "validation"


def test_long_texts_are_cut_and_few_rows_of_them_shown(place: Place) -> None:
    long = [{"role": "user", "content": f"{n} " + "x" * 20_000} for n in range(60)]
    place.put("rows.jsonl", lines({"messages": long[:4]}))
    [shown] = place.inspect(PLAIN)["rows"]
    assert [(len(message["content"]), message["is_cut"]) for message in shown["messages"]] == [(4000, True)] * 4


def test_logged_calls_are_counted_and_their_keys_told(place: Place) -> None:
    calls = [call(f"q{n}", team="red" if n % 3 else "blue", call=f"c{n}") for n in range(9)]
    uri = place.put("logs/a.json.gz", gzip.compress(lines(*calls, call("q0"), b"{oops\n"))).rsplit("/", 1)[0]
    wanted = {"equals": {"team": "blue"}}
    told = place.keys(uri=uri, filters=wanted)
    assert (told["calls"], told["matching"], told["logs"]["records"]) == (10, 3, 11)
    team = next(key for key in told["keys"] if key["key"] == "team")
    assert team["values"] == [{"value": "red", "calls": 6}, {"value": "blue", "calls": 3}]
    found = place.inspect({"kind": "logs", "uri": uri, "filters": wanted, "use_prompt_response": True})
    assert (found["train"]["rows"], found["logs"]["records"], found["logs"]["complete"]) == (3, 11, True)
    assert found["logs"]["skipped"]["not what the filters ask for"] == 7
    assert found["rows"][0]["reference_answer"] == "yes"
    assert json.loads(found["rows"][0]["metadata"])["team"] == "blue"


def test_no_more_logs_are_read_than_a_look_may_take(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_api, "MAX_RECORDS", 5)
    uri = place.put("logs/a.json", lines(*(call(f"q{n}") for n in range(9))))
    found = place.inspect({"kind": "logs", "uri": uri})
    assert (found["train"]["rows"], found["logs"]["complete"]) == (5, False)
    assert place.keys(uri=uri)["logs"]["complete"] is False


def test_a_look_ends_when_nobody_waits_for_it(
    tmp_path: Path, tiny_chat_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path / "home", tiny_chat_model)
    place.put("rows.jsonl", lines(*(row(f"q{n}") for n in range(3))))
    begun, ended, enough = threading.Event(), threading.Event(), threading.Event()

    def endless(path: Path, most: int) -> Iterator[Any]:
        begun.set()
        try:
            while not enough.is_set():
                yield from iter_lines(path, most)
        finally:
            ended.set()

    monkeypatch.setattr("tuneward.data.reader.iter_lines", endless)
    with Server(place.app, bind("127.0.0.1", 0)) as server:
        asking = http.client.HTTPConnection(urlsplit(server.url).netloc)
        asking.request("POST", "/api/data/inspect", json.dumps({"source": PLAIN}), {"Content-Type": "application/json"})
        assert begun.wait(PATIENCE_S)
        asking.close()
        try:
            assert ended.wait(PATIENCE_S)
        finally:
            enough.set()
