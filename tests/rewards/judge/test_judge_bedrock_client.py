"""The Bedrock client: a real boto3 client against a server that speaks Converse's wire format."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.rewards.judge.server import WAIT_S, Answer, Request, ScriptedServer

from tuneward.config.reward import ConnectionConfig
from tuneward.errors import GraderError
from tuneward.rewards.judge.bedrock_client import BedrockProvider
from tuneward.rewards.judge.client import ModelError
from tuneward.rewards.judge.limited_client import LimitedClient

HELLO = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {"score": {"type": "number"}}, "required": ["score"]}
MODEL = "openai.gpt-oss-120b-1:0"


def converse(*content: dict[str, Any], ending: str = "end_turn") -> Answer:
    usage = {"inputTokens": 11, "outputTokens": 7, "totalTokens": 23, "cacheReadInputTokens": 5}
    message = {"role": "assistant", "content": list(content)}
    return Answer({"output": {"message": message}, "stopReason": ending, "usage": usage, "metrics": {"latencyMs": 3}})


def fault(status: int, code: str, message: str) -> Answer:
    return Answer({"message": message}, status, {"x-amzn-ErrorType": code})


@pytest.fixture
def bedrock(
    serve: Callable[[Callable[[Request], Answer]], ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[ScriptedServer, LimitedClient]]:
    def make(script: Callable[[Request], Answer], **settings: Any) -> tuple[ScriptedServer, LimitedClient]:
        server = serve(script)
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.root)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        connection = ConnectionConfig(provider="bedrock", region="us-west-2", **settings)
        return server, LimitedClient(BedrockProvider(connection), connection, backoff_s=0.001)

    return make


Bedrock = Callable[..., tuple[ScriptedServer, LimitedClient]]


def test_a_conversation_becomes_a_converse_call(bedrock: Bedrock) -> None:
    thought = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    server, client = bedrock(lambda _: converse(thought, {"text": '{"score": 1}'}))
    reply = client.complete(HELLO, model=MODEL, schema=SCHEMA, max_tokens=9, top_p=0.5, seed=3)
    assert (reply.text, reply.model, reply.refusal) == ('{"score": 1}', MODEL, None)
    assert (reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens) == (16, 7, 5)
    request = server.requests[0]
    assert request.path == "/model/openai.gpt-oss-120b-1%3A0/converse"
    assert request.body["system"] == [{"text": "be brief"}]
    assert request.body["messages"] == [{"role": "user", "content": [{"text": "hello"}]}]
    assert request.body["inferenceConfig"] == {"maxTokens": 9, "temperature": 0.0, "topP": 0.5}
    held = request.body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]
    assert json.loads(held) == SCHEMA


def test_a_schema_becomes_a_tool_or_words_where_the_model_takes_no_other(bedrock: Bedrock) -> None:
    def script(request: Request) -> Answer:
        if "outputConfig" in request.body:
            return fault(400, "ValidationException", "This model doesn't support the outputConfig field.")
        if "toolConfig" in request.body and "no-tools" in request.path:
            return fault(400, "ValidationException", "Malformed request.")
        if "toolConfig" in request.body:
            call = {"toolUseId": "t", "name": "answer", "input": {"score": 0.5}}
            return converse({"text": "Let me see."}, {"toolUse": call}, ending="tool_use")
        return converse({"text": '{"score": 0.25}'})

    server, client = bedrock(script)
    assert json.loads(client.complete(HELLO, model="tools", schema=SCHEMA).text) == {"score": 0.5}
    assert json.loads(client.complete(HELLO, model="no-tools", schema=SCHEMA).text) == {"score": 0.25}
    assert "JSON schema" in server.requests[-1].body["system"][0]["text"]
    assert len(server.requests) == 5
    client.complete(HELLO, model="no-tools", schema=SCHEMA)
    assert len(server.requests) == 6


def test_throttling_and_failures_of_the_server_are_tried_again(bedrock: Bedrock) -> None:
    faults = [fault(429, "ThrottlingException", "slow down"), fault(424, "ModelErrorException", "oops")]
    server, client = bedrock(lambda r: faults[r.number - 1] if r.number <= 2 else converse({"text": "ok"}))
    assert client.complete(HELLO, model=MODEL).text == "ok"
    assert len(server.requests) == 3


def test_other_faults_are_told_at_once(bedrock: Bedrock) -> None:
    server, client = bedrock(lambda _: fault(403, "AccessDeniedException", "not yours"))
    with pytest.raises(ModelError, match=r'AccessDeniedException for model "m": not yours\.') as caught:
        client.complete(HELLO, model="m", schema=SCHEMA)
    assert caught.value.kind == "server"
    assert len(server.requests) == 1


def test_a_slow_model_is_a_timeout(bedrock: Bedrock) -> None:
    is_over = threading.Event()

    def script(_: Request) -> Answer:
        is_over.wait(WAIT_S)
        return converse({"text": "late"})

    server, client = bedrock(script, timeout_s=0.2)
    with pytest.raises(ModelError, match=r"within 0\.2 s") as caught:
        client.complete(HELLO, model=MODEL)
    is_over.set()
    assert caught.value.kind == "timeout"
    assert len(server.requests) == 1


def test_what_a_guardrail_stops_is_a_refusal(bedrock: Bedrock) -> None:
    _, client = bedrock(lambda _: converse({"text": "Sorry."}, ending="guardrail_intervened"))
    reply = client.complete(HELLO, model=MODEL)
    assert (reply.text, reply.refusal) == ("", "guardrail_intervened: Sorry")


def test_without_a_region_the_grader_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(GraderError, match=r"connection\.region"):
        BedrockProvider(ConnectionConfig(provider="bedrock"))
