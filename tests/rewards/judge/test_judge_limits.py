"""Limits of a client: calls at the same time, tries and pauses, time, calls and tokens of a run."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.rewards.judge.server import WAIT_S, Answer, Request, ScriptedServer, chat, error

from tuneward.rewards.judge.client import ModelError
from tuneward.rewards.judge.limited_client import LimitedClient

Serve = Callable[[Callable[[Request], Answer]], ScriptedServer]
Connect = Callable[..., LimitedClient]

HELLO = [{"role": "user", "content": "hello"}]


def test_sixty_four_calls_are_in_flight_at_once(serve: Serve, connect: Connect) -> None:
    everyone_is_here = threading.Barrier(64)

    def script(_: Request) -> Answer:
        everyone_is_here.wait(WAIT_S)
        return chat("ok")

    server = serve(script)
    client = connect(server, concurrency=64)
    with ThreadPoolExecutor(64) as threads:
        replies = list(threads.map(lambda _: client.complete(HELLO, model="m"), range(64)))
    assert [reply.text for reply in replies] == ["ok"] * 64
    assert server.most_in_flight == 64


def test_no_more_calls_are_in_flight_than_allowed(serve: Serve, connect: Connect) -> None:
    four_are_here = threading.Barrier(4)

    def script(_: Request) -> Answer:
        four_are_here.wait(WAIT_S)
        return chat("ok")

    server = serve(script)
    client = connect(server, concurrency=4)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: client.complete(HELLO, model="m"), range(16)))
    assert server.most_in_flight == 4


def test_waiting_for_a_place_does_not_count_as_waiting_for_an_answer(serve: Serve, connect: Connect) -> None:
    """The second call waits until the first has timed out; only then its own time starts."""
    is_over = threading.Event()

    def script(request: Request) -> Answer:
        if request.text() == "hang":
            is_over.wait(WAIT_S)
        return chat("ok")

    server = serve(script)
    client = connect(server, concurrency=1, timeout_s=0.5)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(client.complete, [{"role": "user", "content": "hang"}], model="m")
        assert server.wait(lambda: server.in_flight == 1)
        second = threads.submit(client.complete, HELLO, model="m")
        assert isinstance(first.exception(WAIT_S), ModelError)
        assert second.result(WAIT_S).text == "ok"
    is_over.set()


def test_calls_refused_for_load_are_tried_again(serve: Serve, connect: Connect) -> None:
    busy = [error(429, "slow down"), error(500, "oops"), error(503, "overloaded")]
    server = serve(lambda request: busy[request.number - 1] if request.number <= 3 else chat("ok"))
    assert connect(server).complete(HELLO, model="m").text == "ok"
    assert len(server.requests) == 4


def test_a_lost_connection_is_tried_again(serve: Serve, connect: Connect) -> None:
    def script(request: Request) -> Answer:
        if request.number == 1:
            raise ConnectionAbortedError
        return chat("ok")

    server = serve(script)
    assert connect(server).complete(HELLO, model="m").text == "ok"
    assert len(server.requests) == 2


def test_the_pause_a_server_asks_for_is_kept(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(
        "tuneward.rewards.judge.limited_client.sleep_using_event", lambda _: lambda pause: pauses.append(pause)
    )
    asked = [error(429, "x", retry_after="7"), error(503, "x", retry_after_ms="1500"), error(429, "x")]
    server = serve(lambda request: asked[request.number - 1] if request.number <= 3 else chat("ok"))
    connect(server).complete(HELLO, model="m")
    assert 7 <= pauses[0] < 7.1
    assert 1.5 <= pauses[1] < 1.6
    assert pauses[2] < 0.1


def test_after_the_last_try_the_error_says_what_the_server_said(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _: error(500, "disk full"))
    with pytest.raises(ModelError, match=r"answered status 500: disk full\. Tried 3 times\.") as caught:
        connect(server, retries=2).complete(HELLO, model="m")
    assert caught.value.kind == "server"
    assert len(server.requests) == 3


def test_a_slow_answer_is_a_timeout_and_not_tried_again(serve: Serve, connect: Connect) -> None:
    is_over = threading.Event()

    def script(_: Request) -> Answer:
        is_over.wait(WAIT_S)
        return chat("late")

    server = serve(script)
    with pytest.raises(ModelError, match=r"within 0\.2 s") as caught:
        connect(server, timeout_s=0.2).complete(HELLO, model="m")
    is_over.set()
    assert caught.value.kind == "timeout"
    assert len(server.requests) == 1


def test_an_answer_that_never_ends_is_given_up(serve: Serve, connect: Connect) -> None:
    pace = threading.Event()
    drops = (b" " for _ in itertools.count() if not pace.wait(0.05))
    server = serve(lambda request: Answer(drops if request.text() == "drip" else itertools.repeat(b" " * (1 << 20))))
    client = connect(server, timeout_s=0.5)
    with pytest.raises(ModelError, match=r"within 0\.5 s"):
        client.complete([{"role": "user", "content": "drip"}], model="m")
    with pytest.raises(ModelError, match="more than 8 MiB"):
        connect(server).complete(HELLO, model="m")


def test_calls_and_tokens_end_with_the_budget(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _: chat("ok"))
    by_calls, by_tokens = connect(server, max_calls=2), connect(server, max_tokens=30)
    for client, words in ((by_calls, r"2 calls.*max_calls"), (by_tokens, r"36 tokens.*max_tokens")):
        client.complete(HELLO, model="m")
        client.complete(HELLO, model="m")
        with pytest.raises(ModelError, match=words) as caught:
            client.complete(HELLO, model="m")
        assert caught.value.kind == "budget"
    assert len(server.requests) == 4


def test_tokens_are_estimated_for_a_server_that_does_not_count(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _: Answer({"choices": [{"message": {"content": "a" * 400}}]}))
    client = connect(server, max_tokens=100)
    assert client.complete(HELLO, model="m").prompt_tokens == 0
    with pytest.raises(ModelError, match="102 tokens"):
        client.complete(HELLO, model="m")


def test_a_closed_client_wakes_those_that_wait_and_asks_no_more(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _: error(429, "later", retry_after="50"))
    client = connect(server)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.complete, HELLO, model="m")
        assert server.wait(lambda: len(server.requests) == 1 and server.in_flight == 0)
        client.close()
        client.close()
        with pytest.raises(ModelError):
            waiting.result(WAIT_S)
    with pytest.raises(ModelError, match="closed"):
        client.complete(HELLO, model="m")
    assert len(server.requests) == 1
