"""Calls of models in Bedrock's log format, as a project has asked for."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import openai
import pytest
from fastapi import FastAPI
from moto.server import ThreadedMotoServer
from tests.serve.bedrock import Kept, joined, runtime_client, said
from tests.serve.test_refusals import Gated
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.config import ServerConfig, StorageConfig
from tuneward.data.invocation_logs import convert_logs
from tuneward.engine.serving.request import Done
from tuneward.errors import DataError
from tuneward.jobs.spec import LogsSource
from tuneward.serve.bedrock import invocation_delivery
from tuneward.serve.bedrock.invocation_log import HUNG_UP, Invocation
from tuneward.serve.catalog import FixedCatalog, ServedModel
from tuneward.serve.server import Server, bind
from tuneward.store.tables import InvocationLogging, Project

HELLO = [said("Hello")]
TO_LOGS: dict[str, Any] = {"s3Config": {"bucketName": "logs"}}
CONFIG = {"maxTokens": 4, "temperature": 0}
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, "temperature": 0}


def switch_on(app: FastAPI, config: dict[str, Any]) -> None:
    def work(session: Any) -> None:
        if session.get(Project, DEFAULT_PROJECT) is None:
            session.add(Project(id=DEFAULT_PROJECT, name="default", account_id="000000000000", created_at=0.0))
            session.flush()
        session.merge(InvocationLogging(project_id=DEFAULT_PROJECT, config=config))

    app.state.services.database.write(work)


def stored_in(home: Path) -> ServerConfig:
    """A server whose buckets are folders; one of them is called logs."""
    (home / "buckets" / "logs").mkdir(parents=True)
    return ServerConfig(storage=StorageConfig(folder=home / "buckets"))


def records(home: Path) -> list[dict[str, Any]]:
    files = [path for path in (home / "buckets" / "logs").rglob("*.json.gz") if path.parent.name != "data"]
    lines = [line for path in sorted(files) for line in gzip.decompress(path.read_bytes()).splitlines()]
    return [json.loads(line) for line in lines]


def test_every_door_is_logged_in_the_form_of_the_contract(catalog: FixedCatalog, tmp_path: Path) -> None:
    app = app_with(tmp_path, config=stored_in(tmp_path))
    object.__setattr__(app.state.services, "catalog", Kept(catalog))
    switch_on(app, TO_LOGS | {"textDataDeliveryEnabled": True})
    with Server(app, bind("127.0.0.1", 0)) as server:
        bedrock = runtime_client(server.url)
        asked: dict[str, Any] = {"modelId": "tuned-0", "messages": HELLO, "inferenceConfig": CONFIG}
        whole = bedrock.converse(**asked, requestMetadata={"team": "a"})
        joined(bedrock.converse_stream(**asked)["stream"])
        body = json.dumps(CHAT)
        invoked = bedrock.invoke_model(modelId="tuned-0", body=body, requestMetadata='{"team": "b"}')
        answer = json.loads(invoked["body"].read())
        list(bedrock.invoke_model_with_response_stream(modelId="tuned-0", body=body)["body"])
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)
        chat = client.chat.completions.create(model="tuned-0", metadata={"team": "c"}, **CHAT)
        for _chunk in client.chat.completions.create(model="tuned-0", stream=True, **CHAT):
            pass
        with pytest.raises(bedrock.exceptions.ResourceNotFoundException):
            bedrock.converse(modelId="other", messages=HELLO)
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="tuned-0", messages=[{"role": "user", "content": "x" * 300}])
    found = records(tmp_path)
    assert [record["operation"] for record in found] == [
        "Converse",
        "ConverseStream",
        "InvokeModel",
        "InvokeModelWithResponseStream",
        "ChatCompletion",
        "ChatCompletion",
        "Converse",
        "ChatCompletion",
    ]
    converse, stream, invoke, chunks, completion, streamed, missing, too_long = found
    assert converse["schemaType"] == "ModelInvocationLog"
    assert converse["schemaVersion"] == "1.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", converse["timestamp"])
    assert converse["accountId"] == "000000000000"
    assert converse["identity"]["arn"].startswith("arn:aws:iam::000000000000:")
    assert (converse["region"], converse["modelId"]) == ("us-east-1", "tuned-0")
    assert converse["requestId"] == whole["ResponseMetadata"]["RequestId"]
    assert converse["requestMetadata"] == {"team": "a"}
    assert converse["input"]["inputBodyJson"]["messages"] == HELLO
    assert converse["input"]["inputTokenCount"] == whole["usage"]["inputTokens"]
    assert converse["output"]["outputBodyJson"]["output"] == whole["output"]
    assert converse["output"]["outputTokenCount"] == whole["usage"]["outputTokens"]
    assert stream["output"]["outputBodyJson"]["output"] == whole["output"]
    assert "requestMetadata" not in stream
    assert invoke["requestMetadata"] == {"team": "b"}
    assert invoke["input"]["inputBodyJson"] == CHAT
    assert invoke["output"]["outputBodyJson"] == answer
    assert {chunk["object"] for chunk in chunks["output"]["outputBodyJson"]} == {"chat.completion.chunk"}
    assert completion["requestMetadata"] == {"team": "c"}
    assert completion["output"]["outputBodyJson"]["id"] == chat.id
    assert streamed["output"]["outputBodyJson"]["choices"][0]["message"]["content"] == chat.choices[0].message.content
    assert (missing["errorCode"], too_long["errorCode"]) == ("ResourceNotFoundException", "ValidationException")
    assert "output" not in missing
    assert "output" not in too_long


def test_what_was_served_becomes_rows_with_the_very_prompts(catalog: FixedCatalog, tmp_path: Path) -> None:
    app = app_with(tmp_path, config=stored_in(tmp_path))
    object.__setattr__(app.state.services, "catalog", Kept(catalog))
    switch_on(app, {"s3Config": {"bucketName": "logs", "keyPrefix": "calls"}})
    system = [{"text": "Be"}, {"text": "brief."}]
    long = "y" * 101_000
    with Server(app, bind("127.0.0.1", 0)) as server:
        bedrock = runtime_client(server.url)
        asked: dict[str, Any] = {"modelId": "tuned-0", "inferenceConfig": CONFIG}
        team = {"requestMetadata": {"team": "a"}}
        bedrock.converse(messages=[said("One")], system=system, **asked, **team)
        joined(bedrock.converse_stream(messages=[said("Two")], **asked, **team)["stream"])
        nova = json.dumps({"schemaVersion": "messages-v1", "messages": [said("Three")], "inferenceConfig": CONFIG})
        header = {"requestMetadata": json.dumps(team["requestMetadata"])}
        list(bedrock.invoke_model_with_response_stream(modelId="tuned-0", body=nova, **header)["body"])
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)
        four: Any = [{"role": "user", "content": "Four"}]
        client.chat.completions.create(model="tuned-0", messages=four, max_tokens=4, metadata={"team": "a"})
        bedrock.converse(messages=[said("Another team's")], **asked)
        bedrock.converse(messages=[said("One")], system=system, **asked, **team)
        with pytest.raises(bedrock.exceptions.ValidationException):
            bedrock.converse(messages=[said(long)], **asked, **team)
    app = app_with(tmp_path, config=app.state.services.config)
    call_of(app, text=long).answered(answer("Hi"), Done(1, 1, 0))
    app.state.services.invocations.close()
    source = LogsSource(uri="s3://logs/calls", use_prompt_response=True)
    target = tmp_path / "rows.jsonl"
    report = convert_logs(app.state.services.objects, source, target, supervised=True)
    rows = {row["messages"][-2]["content"]: row for row in map(json.loads, target.read_text().splitlines())}
    assert set(rows) == {"One", "Two", "Three", "Four", "Another team's", long}
    assert sorted(report.skipped) == ["the call failed", "the same prompt came before"]
    served = catalog.get("tuned-0")
    assert served is not None
    render = served.engine.tokenizer.render_messages
    counts = {len(render(tuple(row["messages"][:-1]))) for text, row in rows.items() if text != long}
    logged = [record for record in records(tmp_path) if "output" in record and record["requestId"] != "req_0"]
    assert counts == {record["input"]["inputTokenCount"] for record in logged}


def call_of(app: FastAPI, number: int = 0, *, text: str = "Hello", project: str = DEFAULT_PROJECT) -> Invocation:
    return Invocation(
        principal=Principal("key_1", project, "000000000000", "developer"),
        request_id=f"req_{number}",
        operation="Converse",
        model_id="m",
        input={"messages": [said(text)]},
        input_bytes=len(text),
        metadata=None,
        deliver=app.state.services.invocations._add,
    )


def answer(text: str) -> dict[str, Any]:
    return {"output": {"message": {"role": "assistant", "content": [{"text": text}]}}}


def test_projects_that_did_not_ask_are_not_logged_and_bodies_only_where_wanted(tmp_path: Path) -> None:
    config = stored_in(tmp_path)
    for other in (None, {"cloudWatchConfig": {"logGroupName": "g", "roleArn": "r"}}):
        app = app_with(tmp_path, config=config)
        if other is not None:
            switch_on(app, other)
        call_of(app).answered(answer("Hi"), Done(1, 1, 0))
        app.state.services.invocations.close()
        assert not records(tmp_path)
    app = app_with(tmp_path, config=config)
    switch_on(app, TO_LOGS | {"textDataDeliveryEnabled": False})
    call_of(app).answered(answer("Hi"), Done(3, 1, 2))
    app.state.services.invocations.close()
    (record,) = records(tmp_path)
    counts = {"inputTokenCount": 3, "cacheReadInputTokenCount": 2, "cacheWriteInputTokenCount": 0}
    assert record["input"] == {"inputContentType": "application/json"} | counts
    assert "Hi" not in json.dumps(record)


def test_large_bodies_are_objects_of_their_own(tmp_path: Path) -> None:
    app = app_with(tmp_path, config=stored_in(tmp_path))
    switch_on(app, TO_LOGS)
    call_of(app, text="x" * 200_000).answered(answer("Hi"), Done(1, 1, 0))
    app.state.services.invocations.close()
    (record,) = records(tmp_path)
    assert "inputBodyJson" not in record["input"]
    path = tmp_path / "buckets" / record["input"]["inputBodyS3Path"].removeprefix("s3://")
    assert path.parent.name == "data"
    assert json.loads(gzip.decompress(path.read_bytes()))["messages"][0]["content"][0]["text"] == "x" * 200_000
    assert record["output"]["outputBodyJson"] == answer("Hi")


@pytest.mark.parametrize("door", ["converse", "converse-stream"])
def test_a_caller_who_hangs_up_is_no_answer(
    door: str, tiny_chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated(tiny_chat_model, tmp_path, monkeypatch)
    app = app_with(tmp_path, [ServedModel("tiny", gated.engine, 1)], config=stored_in(tmp_path))
    switch_on(app, TO_LOGS)
    with Server(app, bind("127.0.0.1", 0)) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            data = json.dumps({"messages": HELLO}).encode()
            head = f"POST /model/tiny/{door} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
            connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + data)
            gated.wait_until(lambda: gated.count == 1)
            ticket = gated.engine._scheduler.live[0].ticket
        assert ticket._cancelled.wait(60)
        gated.gate.set()
    assert [(record["errorCode"], "output" in record) for record in records(tmp_path)] == [(HUNG_UP, False)]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3)
    client.create_bucket(Bucket="logs")
    return client


def test_a_bucket_gets_the_logs_under_the_path_of_the_contract(s3: str, bucket: Any, tmp_path: Path) -> None:
    app = app_with(tmp_path, config=ServerConfig(storage=StorageConfig(endpoint_url=s3)))
    switch_on(app, {"s3Config": {"bucketName": "logs", "keyPrefix": "some/place/"}})
    call_of(app, text="x" * 200_000).answered(answer("Hi"), Done(1, 1, 0))
    app.state.services.invocations.close()
    keys = sorted(entry["Key"] for entry in bucket.list_objects_v2(Bucket="logs")["Contents"])
    hour = r"some/place/AWSLogs/000000000000/BedrockModelInvocationLogs/us-east-1/\d{4}/\d\d/\d\d/\d\d"
    assert re.fullmatch(rf"{hour}/\d+T\d+Z_[0-9a-f]{{16}}\.json\.gz", keys[0])
    assert re.fullmatch(rf"{hour}/data/req_0_input\.json\.gz", keys[1])
    record = json.loads(gzip.decompress(bucket.get_object(Bucket="logs", Key=keys[0])["Body"].read()))
    assert record["input"]["inputBodyS3Path"] == f"s3://logs/{keys[1]}"


def test_a_place_that_does_not_take_logs_costs_a_bounded_backlog_and_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(invocation_delivery, "INTERVAL_S", 0.01)
    monkeypatch.setattr(invocation_delivery, "LONGEST_WAIT_S", 0.02)
    monkeypatch.setattr(invocation_delivery, "LARGEST_BACKLOG", 10_000)
    app = app_with(tmp_path)
    switch_on(app, TO_LOGS)
    tries = threading.Semaphore(0)
    stored: list[bytes] = []
    is_broken = True

    def upload(content: bytes, _uri: str) -> None:
        tries.release()
        if is_broken:
            raise DataError("s3://logs: access denied.")
        stored.append(content)

    monkeypatch.setattr(app.state.services.objects, "upload", upload)
    for number in range(50):
        call_of(app, number, text="x" * 1000).answered(answer("Hi"), Done(1, 1, 0))
    for _ in range(3):
        assert tries.acquire(timeout=60)
    is_broken = False
    app.state.services.invocations.close()
    kept = [json.loads(line) for content in stored for line in gzip.decompress(content).splitlines()]
    assert [record["requestId"] for record in kept] == [f"req_{number}" for number in range(3)]
    assert "47 calls were not logged" in caplog.text
    assert "access denied" in caplog.text


def test_a_call_that_fails_in_a_task_that_is_cancelled_counts_as_hung_up(tmp_path: Path) -> None:
    call = call_of(app_with(tmp_path))
    with pytest.raises(asyncio.CancelledError), call:
        raise asyncio.CancelledError
    assert call.error_code == HUNG_UP
