"""Fifty clients that send a byte at a time, or never read: others are answered, and the slow ones are cut off."""

from __future__ import annotations

import functools
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import openai
import pytest
from fastapi import FastAPI
from tests.faults.service import wait_for
from tests.service import app_with
from tests.serving import LIMITS, start_engine

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.config import LimitsConfig, ServerConfig
from tuneward.serve.bodies import BodyLimits
from tuneward.serve.catalog import ServedModel
from tuneward.serve.protocol import Timeouts
from tuneward.serve.server import Server, bind

SLOW = 50
TIMEOUTS = Timeouts(headers_s=1.5, idle_s=2, unread_s=1.5)
LARGE = 24 << 20
"""Bytes; more than the buffers of a connection hold."""


@pytest.fixture
def app(tmp_path: Path, tiny_chat_model: Path, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr("tuneward.serve.guard.BodyLimits", functools.partial(BodyLimits, patience_s=1.5))
    engine = start_engine(tiny_chat_model, replace(LIMITS, pool_tokens=65536, max_waiting=2 * SLOW))
    config = ServerConfig(limits=LimitsConfig(body_bytes=100_000))
    return app_with(tmp_path / "home", [ServedModel("tiny", engine, 1)], config=config)


@contextmanager
def slow_ones(url: str, first: bytes, *, drop: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that have sent something, and go on with a byte now and then until they are hung up on."""
    address = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
    ended = threading.Event()
    made = []
    for _ in range(SLOW):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect(address)
        connection.sendall(first)
        made.append(connection)

    def dribble() -> None:
        open_ones = list(made)
        while open_ones and not ended.wait(0.2):
            for connection in list(open_ones):
                try:
                    connection.send(drop)
                except OSError:
                    open_ones.remove(connection)

    thread = threading.Thread(target=dribble)
    if drop:
        thread.start()
    try:
        yield made
    finally:
        ended.set()
        if drop:
            thread.join()
        for connection in made:
            connection.close()


def ends(connection: socket.socket) -> bytes:
    """What came until the server hung up."""
    got = bytearray()
    try:
        while part := connection.recv(1 << 20):
            got += part
    except ConnectionError:
        pass
    return bytes(got)


def is_served(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=20) as client:
        assert [model.id for model in client.models.list()] == ["tiny"]
        assert client.files.create(file=("a.txt", b"hello"), purpose="user_data").bytes == 5


def post(path: str, length: int, kind: str = "application/json") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    return head.encode()


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (b"GET /v1/models HTTP/1.1\r\nX-Long: ", b""),
        (post("/v1/chat/completions", 100_000) + b"{", b"408"),
        (post("/v1/files", 100_000, "multipart/form-data; boundary=b") + b"--b", b"408"),
        (post("/model/tiny/converse", 100_000) + b"{", b"408"),
    ],
    ids=["headers", "body", "upload", "bedrock"],
)
def test_clients_that_send_a_byte_at_a_time_are_cut_off(app: FastAPI, first: bytes, status: bytes) -> None:
    with Server(app, bind("127.0.0.1", 0), timeouts=TIMEOUTS) as server:
        with slow_ones(server.url, first, drop=b"-") as connections:
            is_served(server.url)
            for connection in connections:
                assert ends(connection)[9:12] == status
        is_served(server.url)


def test_clients_that_never_read_a_download_are_cut_off(app: FastAPI) -> None:
    services = app.state.services
    pieces = [b"x" * (1 << 20)] * (LARGE >> 20)
    with Server(app, bind("127.0.0.1", 0), timeouts=TIMEOUTS) as server:
        is_served(server.url)
        file = services.files.add(DEFAULT_PROJECT, purpose="user_data", filename="large", content=pieces)
        asked = f"GET /v1/files/{file.id}/content HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        with slow_ones(server.url, asked) as connections:
            is_served(server.url)
            wait_for(lambda: _requests(server.url) >= SLOW, "the end of all downloads")
            for connection in connections[:3]:
                assert len(ends(connection)) < LARGE


def test_streams_that_nobody_reads_free_their_places(app: FastAPI) -> None:
    body = {"model": "tiny", "stream": True, "max_tokens": 100, "logit_bias": {"2": -100}}
    content = json.dumps(body | {"messages": [{"role": "user", "content": "Hello"}]}).encode()
    engine = app.state.services.catalog.models[0].engine
    hello = [{"role": "user", "content": "Hello"}]
    with (
        Server(app, bind("127.0.0.1", 0), timeouts=TIMEOUTS) as server,
        slow_ones(server.url, post("/v1/chat/completions", len(content)) + content),
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=30) as client,
    ):
        is_served(server.url)
        wait_for(lambda: (engine.rows_under_way, engine.rows_waiting) == (0, 0), "free places")
        answer = client.chat.completions.create(model="tiny", messages=hello, max_tokens=2)  # type: ignore[call-overload]
        assert answer.usage.completion_tokens >= 1


@pytest.mark.parametrize("size", [200_000, 20_000_000])
def test_a_client_that_sends_too_much_hears_so(app: FastAPI, size: int) -> None:
    """Clients that read no answer before they have sent everything: OpenAI's own, and the plainest."""
    with Server(app, bind("127.0.0.1", 0)) as server:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            with pytest.raises(openai.APIStatusError) as refused:
                client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "x" * size}])
            assert refused.value.status_code == 413
        with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=30) as connection:
            connection.sendall(post("/v1/chat/completions", size) + b" " * size)
            assert ends(connection)[9:12] == b"413"


def test_a_client_that_never_stops_sending_is_hung_up_on(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneward.serve.bodies.DRAIN_BYTES", 1_000_000)
    with (
        Server(app, bind("127.0.0.1", 0)) as server,
        socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=30) as connection,
    ):
        connection.sendall(post("/v1/chat/completions", 10**12))
        with pytest.raises(ConnectionError):
            connection.sendall(b" " * 10**9)


def _requests(url: str) -> float:
    """Downloads that have ended."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    of_content = [line for line in lines if line.startswith("tuneward_http_requests_total") and "/content" in line]
    return sum(float(line.split()[-1]) for line in of_content)
