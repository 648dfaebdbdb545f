"""Votes, the cache, and judgements that are under way at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.rewards.judge.server import WAIT_S, Answer, Request, ScriptedServer, error, quoted, verdict

from tuneward.errors import GraderError
from tuneward.rewards.judge.judge import JudgeGrader
from tuneward.types import Row, Sample

Serve = Callable[[Callable[[Request], Answer]], ScriptedServer]
MakeJudge = Callable[..., JudgeGrader]
Samples = Callable[..., list[Sample]]


def test_votes_are_sampled_with_seeds_and_their_median_counts(
    serve: Serve, make_judge: MakeJudge, samples: Samples
) -> None:
    server = serve(lambda request: verdict([0.2, 0.9, 0.6][request.body["seed"]], f"seed {request.body['seed']}"))
    score = make_judge(server, votes=3).score(samples("56"))[0]
    assert score.reward == 0.6
    assert score.metrics["judge_spread"] == pytest.approx(0.7)
    assert score.details["reasoning"] == "seed 2"
    assert score.details["votes"] == [0.2, 0.9, 0.6]
    assert {request.body["temperature"] for request in server.requests} == {1.0}
    assert score.details["usage"]["completion_tokens"] == 21


def test_more_than_half_of_the_votes_must_be_readable(serve: Serve, make_judge: MakeJudge, samples: Samples) -> None:
    def script(request: Request) -> Answer:
        failing = 1 if quoted(request) == "one" else 2
        return error(403, "no") if request.body["seed"] < failing else verdict(0.5)

    one, two = make_judge(serve(script), votes=3).score(samples("one", "two"))
    assert one.reward == 0.5
    assert two.is_failed


def test_nothing_is_judged_twice(serve: Serve, make_judge: MakeJudge, samples: Samples) -> None:
    server = serve(lambda _: verdict(0.5))
    grader = make_judge(server)
    first = grader.score(samples("a", "a", "b"))
    again = grader.score(samples("b"))
    assert [score.reward for score in first + again] == [0.5] * 4
    assert [score.metrics["judge_cached"] for score in first + again] == [0, 1, 0, 1]
    assert "judge_latency_s" not in again[0].metrics
    assert again[0].details["usage"]["calls"] == 0
    assert (again[0].receipt.attempts, again[0].details["reasoning"]) == (0, "because")
    assert len(server.requests) == 2
    grader.score([Sample("x", Row("r-2", ({"role": "user", "content": "another"},), "56"), "a")])
    assert len(server.requests) == 3


def test_without_a_cache_everything_is_judged(serve: Serve, make_judge: MakeJudge, samples: Samples) -> None:
    server = serve(lambda _: verdict(0.5))
    make_judge(server, cache=False).score(samples("a", "a"))
    assert len(server.requests) == 2


def test_a_failure_is_not_remembered(serve: Serve, make_judge: MakeJudge, samples: Samples) -> None:
    server = serve(lambda request: error(403, "no") if request.number == 1 else verdict(1))
    grader = make_judge(server)
    assert [grader.score(samples("a"))[0].is_failed for _ in range(2)] == [True, False]


def test_completions_under_judgement_in_another_thread_are_waited_for(
    serve: Serve, make_judge: MakeJudge, samples: Samples
) -> None:
    goes_on = threading.Event()

    def script(_: Request) -> Answer:
        goes_on.wait(WAIT_S)
        return verdict(0.5)

    server = serve(script)
    grader = make_judge(server)
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(grader.score, samples("same", f"own {index}")) for index in range(8)]
        assert server.wait(lambda: server.in_flight == 9)
        goes_on.set()
        scores = [future.result(WAIT_S) for future in waiting]
    assert all(score.reward == 0.5 for pair in scores for score in pair)
    assert len(server.requests) == 9


def test_sixty_four_completions_are_judged_at_once(serve: Serve, make_judge: MakeJudge, samples: Samples) -> None:
    everyone_is_here = threading.Barrier(64)

    def script(request: Request) -> Answer:
        everyone_is_here.wait(WAIT_S)
        return verdict(float(quoted(request)) / 64)

    server = serve(script)
    scores = make_judge(server).score(samples(*map(str, range(64))))
    assert [score.reward for score in scores] == [index / 64 for index in range(64)]
    assert server.most_in_flight == 64


def test_a_grader_closed_meanwhile_fails_what_it_waits_for(
    serve: Serve, make_judge: MakeJudge, samples: Samples
) -> None:
    is_over = threading.Event()

    def script(_: Request) -> Answer:
        is_over.wait(WAIT_S)
        return verdict(1)

    server = serve(script)
    grader = make_judge(server)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(grader.score, samples("a"))
        assert server.wait(lambda: server.in_flight == 1)
        grader.close()
        score = waiting.result(WAIT_S)[0]
    is_over.set()
    assert score.is_failed
    assert "the grader was closed" in score.receipt.message
    with pytest.raises(GraderError, match="closed"):
        grader.score(samples("a"))
