"""The OpenAI-compatible client against a real server: the wire format, what is refused, what is never shown."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from tests.rewards.judge.server import Answer, Request, ScriptedServer, chat, error

from tuneward.config.reward import ConnectionConfig
from tuneward.errors import GraderError
from tuneward.rewards.judge.client import ModelError, build_client
from tuneward.rewards.judge.limited_client import LimitedClient

Serve = Callable[[Callable[[Request], Answer]], ScriptedServer]
Connect = Callable[..., LimitedClient]

HELLO = [{"role": "user", "content": "hello"}]
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "number"}},
    "required": ["score"],
    "additionalProperties": False,
}


def test_a_reply_holds_text_usage_and_model(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _: chat("fine", model="judge-1-2026"))
    reply = connect(server).complete(HELLO, model="judge-1", schema=SCHEMA, max_tokens=9, seed=4)
    assert (reply.text, reply.model) == ("fine", "judge-1-2026")
    assert (reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens) == (11, 7, 3)
    assert reply.latency_s > 0
    assert reply.refusal is None
    assert not reply.is_truncated
    request = server.requests[0]
    assert request.path == "/v1/chat/completions"
    assert request.body["messages"] == HELLO
    assert request.body["max_tokens"] == 9
    assert (request.body["temperature"], request.body["seed"]) == (0.0, 4)
    assert request.body["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": SCHEMA}
    assert "top_p" not in request.body
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error(401, "bad key"), "OPENAI_API_KEY"),
        (error(404, "no model"), "connection.models"),
        (Answer({"error": {"code": "insufficient_quota", "message": "pay"}}, 429), "pay"),
        (Answer(b"<html>", 200), "no chat completion: <html>"),
        (Answer({"choices": []}, 200), "no chat completion"),
        (Answer([1], 200), "no chat completion"),
        (Answer({"choices": [{"message": {"content": [None]}}]}, 200), "no chat completion"),
        (Answer(b"", 302, {"Location": "http://example.com"}), "status 302"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(serve: Serve, connect: Connect, answer: Answer, words: str) -> None:
    server = serve(lambda _: answer)
    with pytest.raises(ModelError, match=words):
        connect(server).complete(HELLO, model="m")
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_a_server_error(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _: chat("ok"))
    server.close()
    with pytest.raises(ModelError, match="cannot be reached") as caught:
        connect(server, retries=1).complete(HELLO, model="m")
    assert caught.value.kind == "server"


def test_a_server_without_structured_output_is_told_the_schema_and_remembered(serve: Serve, connect: Connect) -> None:
    def script(request: Request) -> Answer:
        return error(400, "unknown field response_format") if "response_format" in request.body else chat("{}")

    server = serve(script)
    client = connect(server)
    for _ in range(2):
        client.complete(HELLO, model="m", schema=SCHEMA)
    assert ["response_format" in request.body for request in server.requests] == [True, False, False]
    assert '"additionalProperties": false' in server.requests[2].text("system")


def test_a_refused_prompt_does_not_end_structured_output(serve: Serve, connect: Connect) -> None:
    def script(request: Request) -> Answer:
        return error(400, "too long") if "long" in request.text() else chat("{}")

    server = serve(script)
    client = connect(server)
    client.complete(HELLO, model="m", schema=SCHEMA)
    with pytest.raises(ModelError, match="too long"):
        client.complete([{"role": "user", "content": "long"}], model="m", schema=SCHEMA)
    client.complete(HELLO, model="m", schema=SCHEMA)
    assert all("response_format" in request.body for request in server.requests)
    assert len(server.requests) == 3


def test_settings_that_a_model_refuses_are_left_out_for_this_model(serve: Serve, connect: Connect) -> None:
    def script(request: Request) -> Answer:
        if request.body["model"] == "reasoner":
            if "temperature" in request.body:
                return Answer({"error": {"message": "Unsupported value: 0", "param": "temperature"}}, 400)
            if "max_tokens" in request.body:
                return error(400, "'max_tokens' is not supported. Use 'max_completion_tokens' instead.")
        return chat("ok")

    server = serve(script)
    client = connect(server)
    client.complete(HELLO, model="reasoner", schema=SCHEMA)
    client.complete(HELLO, model="reasoner", schema=SCHEMA)
    client.complete(HELLO, model="other", schema=SCHEMA)
    assert len(server.requests) == 5
    assert server.requests[3].body["max_completion_tokens"] == 512
    assert all("response_format" in request.body for request in server.requests)
    assert server.requests[4].body["temperature"] == 0.0


def test_model_names_are_translated(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _: chat("ok"))
    client = connect(server, models={"gpt-4o": "qwen", "*": "any"})
    for name in ("gpt-4o", "o3"):
        client.complete(HELLO, model=name)
    assert [request.body["model"] for request in server.requests] == ["qwen", "any"]


def test_refusals_and_cut_answers_are_marked(serve: Serve, connect: Connect) -> None:
    answers = [chat(None, refusal="I cannot."), chat("x", ending="content_filter"), chat('{"a', ending="length")]
    server = serve(lambda request: answers[request.number - 1])
    client = connect(server)
    refused, filtered, cut = (client.complete(HELLO, model="m") for _ in answers)
    assert (refused.text, refused.refusal) == ("", "I cannot.")
    assert filtered.refusal is not None
    assert (cut.is_truncated, cut.refusal) == (True, None)


def test_the_key_is_sent_and_never_shown(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-secret-1")
    caplog.set_level(logging.DEBUG)
    server = serve(lambda request: error(401, f"wrong: {request.headers['authorization']}"))
    with pytest.raises(ModelError) as caught:
        connect(server, key_variable="JUDGE_KEY").complete(HELLO, model="m")
    assert server.requests[0].headers["authorization"] == "Bearer sk-secret-1"
    assert "JUDGE_KEY" in str(caught.value)
    assert "sk-secret-1" not in str(caught.value) + caplog.text


def test_only_near_addresses_do_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GraderError, match=r"api\.openai\.com/v1 wants a key, and OPENAI_API_KEY is not set"):
        build_client(ConnectionConfig())
    for url in (
        "http://127.0.0.1:1/v1",
        "http://localhost/v1",
        "http://[::1]:8/v1",
        "http://10.0.0.3",
        "http://gpu-box",
    ):
        build_client(ConnectionConfig(url=url)).close()
    with pytest.raises(GraderError, match="user name or password") as caught:
        build_client(ConnectionConfig(url="http://me:sk-one@localhost/v1"))
    assert "sk-one" not in str(caught.value)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-one\nsk-two")
    with pytest.raises(GraderError, match="OPENAI_API_KEY holds characters") as caught:
        build_client(ConnectionConfig())
    assert "sk-one" not in str(caught.value)
