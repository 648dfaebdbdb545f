"""A grader at an HTTP address: signed events out, scores back, patience with busy servers and none with wrong ones."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import pytest
from tests.rewards.http_server import Reply, Request, Server

from tuneward.config import RewardConfig
from tuneward.config.reward import EndpointConfig
from tuneward.errors import GraderError
from tuneward.rewards import addresses, build_grader
from tuneward.rewards.endpoint import ANSWER_LIMIT_BYTES, EndpointCaller
from tuneward.rewards.event_grader import EventGrader
from tuneward.types import Row, Sample, Verdict


def samples(*completions: str) -> list[Sample]:
    row = Row("r", ({"role": "user", "content": "7*8?"},), 56)
    return [Sample(f"s-{index}", row, text) for index, text in enumerate(completions)]


def lengths(request: Request) -> Reply:
    """The score of a completion is its length."""
    return Reply(
        json.dumps(
            [
                {"id": item["id"], "aggregate_reward_score": len(item["messages"][-1]["content"])}
                for item in json.loads(request.body)
            ]
        ).encode()
    )


@contextlib.contextmanager
def grading(
    answer: Callable[[Request], Reply],
    *,
    retries: int = 0,
    timeout_s: float = 30.0,
    batch_size: int = 64,
    path: str = "/score",
    **endpoint: Any,
) -> Iterator[tuple[EventGrader, Server]]:
    with Server(answer) as server:
        config = EndpointConfig(url=server.url + path, **{"allow_private": True, **endpoint})
        caller = EndpointCaller(config, timeout_s=timeout_s, first_wait_s=0.001)
        grader = EventGrader(caller, batch_size=batch_size, retries=retries, backoff_s=0.001)
        try:
            yield grader, server
        finally:
            grader.close()


def test_scores_come_back_from_a_real_server() -> None:
    with grading(lengths, batch_size=2) as (grader, server):
        scores = grader.score(samples("a", "bb", "ccc"))
        assert [score.reward for score in scores] == [1, 2, 3]
        assert len(server.requests) == 2
        assert scores[0].receipt.isolation == "remote"
        assert scores[0].receipt.grader == f"{server.url}/score"


def test_every_request_is_signed_over_timestamp_and_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORE_KEY", "secret")
    with grading(lengths, secret_variable="SCORE_KEY") as (grader, server):
        grader.score(samples("a"))
        request = server.requests[0]
    timestamp = request.headers["X-Tuneward-Timestamp"]
    expected = hmac.new(b"secret", timestamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Tuneward-Signature"] == f"v1={expected}"
    assert abs(int(timestamp) - time.time()) < 600


def test_header_values_come_from_the_environment_and_stay_out_of_receipts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORE_TOKEN", "Bearer abc")
    with grading(lengths, path="/score?key=abc", header_variables={"Authorization": "SCORE_TOKEN"}) as (grader, server):
        score = grader.score(samples("a"))[0]
        assert server.requests[0].headers["Authorization"] == "Bearer abc"
        assert server.requests[0].path == "/score?key=abc"
    assert "abc" not in str(score)
    monkeypatch.delenv("SCORE_TOKEN")
    with pytest.raises(GraderError, match="SCORE_TOKEN is not set"):
        build_grader(
            RewardConfig(endpoint=EndpointConfig(url="http://8.8.8.8/", header_variables={"A": "SCORE_TOKEN"}))
        )


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again_without_using_up_retries(status: int) -> None:
    replies = iter([Reply(status=status), Reply(status=status)])
    with grading(lambda request: next(replies, None) or lengths(request)) as (grader, server):
        score = grader.score(samples("aa"))[0]
        assert score.reward == 2
        assert score.receipt.attempts == 1
        assert len(server.requests) == 3


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_pause_a_server_asks_for_is_kept(form: str) -> None:
    asked = []

    def answer(request: Request) -> Reply:
        asked.append(time.time())
        after = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
        return Reply(status=500, headers={"Retry-After": after}) if len(asked) == 1 else lengths(request)

    with grading(answer) as (grader, _):
        assert grader.score(samples("aa"))[0].reward == 2
    assert asked[1] - asked[0] >= 0.9


def test_a_server_that_stays_busy_fails_the_samples_once_with_the_reason() -> None:
    with grading(lambda _: Reply(status=503), retries=3) as (grader, server):
        scores = grader.score(samples("a", "b"))
        assert len(server.requests) == 8
    assert [score.receipt.verdict for score in scores] == [Verdict.ERROR, Verdict.ERROR]
    assert "HTTP status 503 (tried 8 times) for 2 samples" in scores[0].receipt.message


def test_a_server_error_for_one_sample_does_not_cost_the_others_their_scores() -> None:
    def answer(request: Request) -> Reply:
        return Reply(b"division by zero", 500) if b"poison" in request.body else lengths(request)

    with grading(answer, retries=2) as (grader, _):
        scores = grader.score(samples("a", "poison", *"b" * 6))
    assert [score.is_failed for score in scores] == [False, True] + [False] * 6
    assert "HTTP status 500 (division by zero)" in scores[1].receipt.message


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_refusal_that_no_other_event_would_change_is_not_repeated(status: int) -> None:
    with grading(lambda _: Reply(b"no", status), retries=3) as (grader, server):
        score = grader.score(samples("a"))[0]
        assert len(server.requests) == 1
    assert f"HTTP status {status} (no)" in score.receipt.message


def test_redirects_are_not_followed() -> None:
    with grading(lambda _: Reply(status=307, headers={"Location": "/other"}), retries=3) as (grader, server):
        score = grader.score(samples("a"))[0]
        assert [request.path for request in server.requests] == ["/score"]
    assert "a redirect to /other" in score.receipt.message


def test_a_connection_that_drops_is_tried_once_more_and_then_counts_as_a_failure() -> None:
    with grading(lambda _: Reply(is_dropped=True)) as (grader, server):
        score = grader.score(samples("a"))[0]
        assert len(server.requests) == 2
    assert "connection ended before an answer came" in score.receipt.message


def test_a_server_that_is_not_there_fails_samples_not_the_run() -> None:
    with Server(lengths) as server:
        config = EndpointConfig(url=server.url, allow_private=True)
    grader = EventGrader(EndpointCaller(config, timeout_s=5, first_wait_s=0.001), batch_size=1, retries=2)
    with grader:
        score = grader.score(samples("a"))[0]
    assert "no connection" in score.receipt.message


@pytest.mark.parametrize("begins", [False, True])
def test_the_whole_answer_must_come_within_the_time_limit(begins: bool) -> None:
    is_over = threading.Event()

    def answer(_: Request) -> Reply:
        is_over.wait(30)
        return Reply()

    unfinished = Reply(b" ", headers={"Content-Length": "1000"})
    try:
        with grading((lambda _: unfinished) if begins else answer, timeout_s=0.3) as (grader, _):
            score = grader.score(samples("a"))[0]
    finally:
        is_over.set()
    assert score.receipt.verdict is Verdict.TIMEOUT
    assert "no answer within 0.3 s for one sample. Make it faster, raise reward.timeout_s" in score.receipt.message


def test_an_answer_that_is_too_large_is_given_up() -> None:
    with grading(lambda _: Reply(b" " * (ANSWER_LIMIT_BYTES + 1))) as (grader, _):
        score = grader.score(samples("a"))[0]
    assert score.receipt.verdict is Verdict.INVALID
    assert "more than 6 MiB" in score.receipt.message


def test_an_answer_that_is_packed_is_not_unpacked() -> None:
    with grading(lambda _: Reply(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})) as (grader, _):
        assert "packed" in grader.score(samples("a"))[0].receipt.message


def test_requests_at_the_same_time_stay_within_the_limit() -> None:
    lock, running, most = threading.Lock(), 0, 0
    two = threading.Barrier(2)

    def answer(request: Request) -> Reply:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        two.wait(30)
        with lock:
            running -= 1
        return lengths(request)

    with grading(answer, batch_size=1, concurrency=2) as (grader, _):
        assert [score.reward for score in grader.score(samples(*"abcdef"))] == [1] * 6
    assert most == 2


def test_closing_ends_requests_under_way() -> None:
    is_asked, is_over = threading.Event(), threading.Event()

    def answer(_: Request) -> Reply:
        is_asked.set()
        is_over.wait(30)
        return Reply()

    found = []
    with grading(answer, concurrency=1, batch_size=1) as (grader, _):
        thread = threading.Thread(target=lambda: found.extend(grader.score(samples("a", "b"))))
        thread.start()
        assert is_asked.wait(30)
        grader.close()
        thread.join(30)
    is_over.set()
    assert ["grader was closed" in score.receipt.message for score in found] == [True, True]


def test_addresses_of_this_machine_are_refused_before_any_work() -> None:
    with (
        Server(lengths) as server,
        pytest.raises(GraderError, match=r"127\.0\.0\.1 is an address of this machine.*allow_private"),
    ):
        build_grader(RewardConfig(endpoint=EndpointConfig(url=server.url)))


@pytest.mark.parametrize("seen_by_the_check", [["127.0.0.1"], ["8.8.8.8"]])
def test_a_name_that_resolves_elsewhere_later_is_refused_and_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, seen_by_the_check: list[str]
) -> None:
    """First look: public. Second look: this machine, or public again while the connection ends at this machine."""
    with Server(lengths) as server:
        monkeypatch.setattr(addresses, "_addresses", lambda _: ["8.8.8.8"])
        caller = EndpointCaller(EndpointConfig(url=f"http://localhost:{server.port}/"), timeout_s=10)
        monkeypatch.setattr(addresses, "_addresses", lambda _: seen_by_the_check)
        with EventGrader(caller, batch_size=1, retries=0) as grader:
            score = grader.score(samples("a"))[0]
        assert "an address of this machine" in score.receipt.message
        assert server.requests == []


def test_a_password_in_the_address_is_refused() -> None:
    with pytest.raises(GraderError, match="holds a password"):
        build_grader(RewardConfig(endpoint=EndpointConfig(url="https://me:secret@example.com/")))
