"""What Bedrock's runtime says when something goes wrong, at once or in the middle of a stream."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError, EventStreamError
from tests.serve.bedrock import Kept, runtime_client, said
from tests.serve.test_refusals import Gated
from tests.service import app_with

from tuneward.accounts.principal import Principal
from tuneward.config import ServerConfig
from tuneward.config.server import ServingConfig
from tuneward.errors import ModelError, NonFiniteError
from tuneward.jobs.problems import LimitExceededError
from tuneward.serve.catalog import FixedCatalog, ServedModel
from tuneward.serve.server import Server, bind

HELLO = [said("Hello")]
CHAT = json.dumps({"messages": [{"role": "user", "content": "Hello"}]})


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_full_queue_is_throttled(tiny_chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gated = Gated(tiny_chat_model, tmp_path, monkeypatch)
    with Server(gated.app, bind("127.0.0.1", 0)) as server:
        bedrock = runtime_client(server.url)
        answers: list[Any] = []
        threads = []
        for under_way in (1, 2):
            thread = threading.Thread(target=lambda: answers.append(bedrock.converse(modelId="tiny", messages=HELLO)))
            thread.start()
            threads.append(thread)
            while gated.engine.rows_under_way + gated.engine.rows_waiting < under_way:
                assert thread.is_alive()
        gated.wait_until(lambda: gated.count == 1)
        for operation in (bedrock.converse, bedrock.converse_stream):
            with pytest.raises(ClientError) as refused:
                operation(modelId="tiny", messages=HELLO)
            assert code_of(refused) == ("ThrottlingException", 429)
        gated.gate.set()
        for thread in threads:
            thread.join()
        assert len(answers) == 2


@pytest.mark.parametrize("operation", ["converse", "converse-stream", "invoke", "invoke-with-response-stream"])
def test_a_client_that_hangs_up_frees_its_slot(
    operation: str, tiny_chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated(tiny_chat_model, tmp_path, monkeypatch)
    with Server(gated.app, bind("127.0.0.1", 0)) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            data = json.dumps({"schemaVersion": "messages-v1", "messages": HELLO}).encode()
            head = f"POST /model/tiny/{operation} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
            connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + data)
            gated.wait_until(lambda: gated.count == 1)
            ticket = gated.engine._scheduler.live[0].ticket
        assert ticket._cancelled.wait(60)
        gated.gate.set()
        body = {"messages": HELLO, "inferenceConfig": {"maxTokens": 1}}
        whole = httpx.post(f"{server.url}/model/tiny/converse", json=body, timeout=60)
        assert whole.json()["usage"]["outputTokens"] <= 1
        assert gated.engine.rows_under_way == 0


@pytest.mark.parametrize(
    ("error", "converse_name", "invoke_name"),
    [
        (RuntimeError("broken"), "internalServerException", "internalServerException"),
        (NonFiniteError("NaN"), "modelStreamErrorException", "modelStreamErrorException"),
    ],
)
def test_a_failure_in_the_middle_of_a_stream_is_an_event(
    error: Exception,
    converse_name: str,
    invoke_name: str,
    tiny_chat_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gated = Gated(tiny_chat_model, tmp_path, monkeypatch)
    gated.gate.set()
    forward = gated.engine._forward
    fails_at = 3

    def breaking(chosen: Any) -> Any:
        if gated.count >= fails_at:
            raise error
        return forward(chosen)

    monkeypatch.setattr(gated.engine, "_forward", breaking)
    with Server(gated.app, bind("127.0.0.1", 0)) as server:
        bedrock = runtime_client(server.url)
        stream = bedrock.converse_stream(modelId="tiny", messages=HELLO)["stream"]
        assert "messageStart" in next(iter(stream))
        with pytest.raises(EventStreamError, match=converse_name):
            list(stream)
        fails_at = gated.count + 2
        body = bedrock.invoke_model_with_response_stream(modelId="tiny", body=CHAT)["body"]
        with pytest.raises(EventStreamError, match=invoke_name):
            list(body)


def test_an_answer_that_takes_too_long_is_given_up(catalog: FixedCatalog, tmp_path: Path) -> None:
    served = catalog.get("tuned-0")
    assert served is not None
    app = app_with(tmp_path, config=ServerConfig(serving=ServingConfig(request_timeout_s=1e-9)))
    object.__setattr__(app.state.services, "catalog", Kept(catalog))
    with Server(app, bind("127.0.0.1", 0)) as server:
        bedrock = runtime_client(server.url)
        with pytest.raises(bedrock.exceptions.ModelTimeoutException) as refused:
            bedrock.converse(modelId="tuned-0", messages=HELLO)
        assert code_of(refused) == ("ModelTimeoutException", 408)
        with pytest.raises(EventStreamError, match="modelStreamErrorException"):
            list(bedrock.converse_stream(modelId="tuned-0", messages=HELLO)["stream"])
        with pytest.raises(EventStreamError, match="modelTimeoutException"):
            list(bedrock.invoke_model_with_response_stream(modelId="tuned-0", body=CHAT)["body"])
        chat = json.loads(CHAT) | {"model": "tuned-0"}
        assert httpx.post(f"{server.url}/v1/chat/completions", json=chat).status_code == 504
        while served.engine.rows_under_way:
            assert served.engine._thread.is_alive()


class Unready(FixedCatalog):
    """A catalog whose models cannot be had."""

    def __init__(self, error: Exception):
        super().__init__([])
        self._error = error

    @asynccontextmanager
    async def use(self, _principal: Principal, _name: str) -> AsyncIterator[ServedModel]:
        raise self._error
        yield


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (LimitExceededError("The memory is taken.", retry_after_s=5), "ModelNotReadyException", 429),
        (ModelError("tiny: its weights are damaged."), "ModelErrorException", 424),
    ],
)
def test_a_model_that_cannot_be_had_now_or_at_all_says_which(
    error: Exception, code: str, status: int, tmp_path: Path
) -> None:
    app = app_with(tmp_path)
    object.__setattr__(app.state.services, "catalog", Unready(error))
    with Server(app, bind("127.0.0.1", 0)) as server:
        bedrock = runtime_client(server.url)
        for call in (
            lambda: bedrock.converse(modelId="tiny", messages=HELLO),
            lambda: bedrock.converse_stream(modelId="tiny", messages=HELLO),
            lambda: bedrock.invoke_model(modelId="tiny", body=CHAT),
        ):
            with pytest.raises(ClientError) as refused:
                call()
            assert code_of(refused) == (code, status)


def test_boto3_tries_again_when_a_model_is_being_loaded(tmp_path: Path) -> None:
    app = app_with(tmp_path)
    tries = []

    class Counting(Unready):
        @asynccontextmanager
        async def use(self, principal: Principal, name: str) -> AsyncIterator[ServedModel]:
            tries.append(name)
            async with super().use(principal, name) as model:
                yield model

    refusal = LimitExceededError("The memory is taken.", retry_after_s=1)
    object.__setattr__(app.state.services, "catalog", Counting(refusal))
    with Server(app, bind("127.0.0.1", 0)) as server:
        keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "any", "region_name": "us-east-1"}
        config = boto3.session.Config(retries={"mode": "standard", "total_max_attempts": 2})
        patient = boto3.client("bedrock-runtime", endpoint_url=server.url, config=config, **keys)
        with pytest.raises(ClientError):
            patient.converse(modelId="tiny", messages=HELLO)
    assert len(tries) == 2
