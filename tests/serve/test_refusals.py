"""What is refused, and how: status, envelope, and nothing left behind."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from tests.service import app_with
from tests.serving import LIMITS, start_engine

from tuneward.errors import ConfigError
from tuneward.serve.auth import fixed_key
from tuneward.serve.catalog import ServedModel
from tuneward.serve.server import Server, bind

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": None}, "messages", "invalid_type"),
        ({"messages": [{"role": "agent", "content": ""}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0]", "invalid_value"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content", "invalid_value"),
        ({"messages": [{"role": "user", "content": "x" * 300}]}, "messages", "context_length_exceeded"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"stop": ["a"] * 5}, "stop", "invalid_value"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
        ({"response_format": {"type": "yaml"}}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "invalid_value"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
        ({"logit_bias": {"cat": 1}}, "logit_bias", "invalid_value"),
    ],
)
def test_bad_requests_name_the_parameter(client: openai.OpenAI, change: dict[str, Any], param: str, code: str) -> None:
    body = {"model": "owner/tiny", "messages": HELLO} | change
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**body)
    error = refused.value
    assert (error.status_code, error.param, error.code) == (400, param, code)
    assert set(error.body) == {"message", "type", "param", "code"}  # type: ignore[arg-type]
    assert error.request_id
    assert error.body["message"].endswith(".")  # type: ignore[index]


def test_a_missing_parameter_a_broken_body_and_a_wrong_address_have_the_envelope(url: str) -> None:
    for response, status, code in (
        (httpx.post(f"{url}/v1/chat/completions", json={"messages": HELLO}), 400, "missing_required_parameter"),
        (httpx.post(f"{url}/v1/chat/completions", content=b"{"), 400, "invalid_json"),
        (httpx.post(f"{url}/v1/chat/completions", json=[]), 400, "invalid_json"),
        (httpx.get(f"{url}/v1/nothing"), 404, None),
        (httpx.delete(f"{url}/v1/chat/completions"), 405, None),
    ):
        assert response.status_code == status
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
        assert response.json()["error"]["code"] == code
        assert response.headers["x-request-id"]


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match='did you mean "tuned-0"') as refused:
        client.chat.completions.create(model="tuned-00", messages=HELLO)  # type: ignore[arg-type]
    assert refused.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


def test_a_key_is_asked_for_when_there_is_one(tmp_path: Path) -> None:
    app = app_with(tmp_path, authenticate=fixed_key("secret"))
    with Server(app, bind("127.0.0.1", 0)) as server:
        assert list(openai.OpenAI(base_url=f"{server.url}/v1", api_key="secret").models.list()) == []
        with pytest.raises(openai.AuthenticationError) as refused:
            openai.OpenAI(base_url=f"{server.url}/v1", api_key="guess").models.list()
        assert refused.value.code == "invalid_api_key"
        assert httpx.get(f"{server.url}/v1/models").status_code == 401


class Gated:
    """A server whose engine computes one answer at a time, with room for one to wait, and stops at a gate."""

    def __init__(self, model: Path, home: Path, monkeypatch: pytest.MonkeyPatch):
        self.engine = start_engine(model, replace(LIMITS, max_rows=1, max_waiting=1))
        self.gate = threading.Event()
        self.passes = threading.Condition()
        self.count = 0
        forward = self.engine._forward

        def gated(chosen: Any) -> Any:
            with self.passes:
                self.count += 1
                self.passes.notify_all()
            self.gate.wait(60)
            return forward(chosen)

        monkeypatch.setattr(self.engine, "_forward", gated)
        self.app = app_with(home, [ServedModel("tiny", self.engine, 1)])

    def wait_until(self, condition: Callable[[], bool]) -> None:
        with self.passes:
            assert self.passes.wait_for(condition, 60)


def test_a_full_queue_answers_429_with_a_time(
    tiny_chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated(tiny_chat_model, tmp_path, monkeypatch)
    with (
        Server(gated.app, bind("127.0.0.1", 0)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client,
    ):
        ask = {"model": "tiny", "messages": HELLO, "max_tokens": 2}
        answers = []
        threads = []
        for under_way in (1, 2):
            thread = threading.Thread(target=lambda: answers.append(client.chat.completions.create(**ask)))
            thread.start()
            threads.append(thread)
            while (gated.engine.rows_under_way, gated.engine.rows_waiting) != (1, under_way - 1):
                assert thread.is_alive()
        gated.wait_until(lambda: gated.count == 1)
        with pytest.raises(openai.RateLimitError) as refused:
            client.chat.completions.create(**ask)
        assert refused.value.code == "rate_limit_exceeded"
        assert 1 <= int(refused.value.response.headers["retry-after"]) <= 60
        gated.gate.set()
        for thread in threads:
            thread.join()
        assert len(answers) == 2


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_frees_its_slot(
    stream: bool, tiny_chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated(tiny_chat_model, tmp_path, monkeypatch)
    body = {"model": "tiny", "messages": HELLO, "max_tokens": 200, "stream": stream, "logit_bias": {"2": -100}}
    with Server(gated.app, bind("127.0.0.1", 0)) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            data = json.dumps(body).encode()
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
            head += "Content-Type: application/json\r\n\r\n"
            connection.sendall(head.encode() + data)
            gated.wait_until(lambda: gated.count == 1)
            ticket = gated.engine._scheduler.live[0].ticket
        assert ticket._cancelled.wait(60)
        gated.gate.set()
        whole = httpx.post(f"{server.url}/v1/chat/completions", json=body | {"stream": False, "max_tokens": 1})
        assert whole.json()["usage"]["completion_tokens"] == 1
        assert gated.count < 50  # its 200 tokens were not computed
        assert gated.engine.rows_under_way == 0


def test_a_failure_in_the_middle_of_a_stream_reaches_the_client(
    tiny_chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated(tiny_chat_model, tmp_path, monkeypatch)
    gated.gate.set()
    forward = gated.engine._forward

    def breaking(chosen: Any) -> Any:
        if gated.count == 3:
            raise RuntimeError("broken")
        return forward(chosen)

    monkeypatch.setattr(gated.engine, "_forward", breaking)
    with Server(gated.app, bind("127.0.0.1", 0)) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)
        with pytest.raises(openai.APIError, match="RuntimeError while answering"):
            list(client.chat.completions.create(model="tiny", messages=HELLO, stream=True, logit_bias={"2": -100}))  # type: ignore[call-overload]


def test_an_address_that_is_taken_is_said_to_be() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(ConfigError, match="cannot be listened on"):
            bind("127.0.0.1", taken.getsockname()[1])
