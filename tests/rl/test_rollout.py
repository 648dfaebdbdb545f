"""Scoring goes on while completions are still being sampled, and its results do not depend on when it happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from tests.rewards.scripted import ScriptedGrader

from tuneward.engine.sampler import SamplingParams
from tuneward.errors import GraderError, NonFiniteError
from tuneward.rl.rollout import SCORING_THREADS, Rollout, roll_out
from tuneward.rl.scoring import ScoringQueue
from tuneward.types import Completion, FinishReason, Group, Prompt, Row, Sample

LIMIT_S = 30.0
"""After which a condition that never comes fails a test."""


@dataclass
class ScriptedEngine:
    """Ends completions in a given order, as (prompt, index); `between` is called before each."""

    order: Sequence[tuple[int, int]]
    between: Callable[[int], None] = lambda _: None

    def sample(self, prompts: Sequence[Prompt], n: int, *_: Any, on_completion: Any, **__: Any) -> list[Group]:
        ended = {}
        for place, (prompt, index) in enumerate(self.order):
            self.between(place)
            text = str(10 * prompt + index)
            ended[prompt, index] = Completion(index, (5,), (-1.0,), (1.0,), text, FinishReason.STOP)
            on_completion(prompts[prompt], ended[prompt, index])
        return [Group(prompt, tuple(ended[i, j] for j in range(n))) for i, prompt in enumerate(prompts)]


def rolled(engine: Any, grader: Any, prompts: int = 2, n: int = 2, **options: Any) -> Rollout:
    rows = [Prompt(Row(f"row-{i}", ()), (5, 9)) for i in range(prompts)]
    return roll_out(engine, grader, rows, n, SamplingParams(8), run_seed=0, step=7, **options)


def test_a_completion_is_scored_while_others_of_its_group_still_decode() -> None:
    scored = threading.Event()

    def wait_for_the_first(place: int) -> None:
        assert place == 0 or scored.wait(LIMIT_S)

    grader = ScriptedGrader(before=lambda _: scored.set())
    rollout = rolled(ScriptedEngine([(0, 0), (0, 1)], wait_for_the_first), grader, prompts=1)
    assert grader.calls[0] == ["7/row-0/0"]
    assert [score.reward for score in rollout.all_scores] == [0.0, 1.0]


@pytest.mark.parametrize("order", [[(0, 0), (0, 1), (1, 0), (1, 1)], [(1, 1), (0, 1), (1, 0), (0, 0)]])
def test_scores_stand_in_the_order_of_the_completions_whenever_they_came(order: list[tuple[int, int]]) -> None:
    rollout = rolled(ScriptedEngine(order), ScriptedGrader())
    assert [[score.reward for score in scores] for scores in rollout.scores] == [[0.0, 1.0], [10.0, 11.0]]
    assert [score.sample_id for score in rollout.all_scores] == ["7/row-0/0", "7/row-0/1", "7/row-1/0", "7/row-1/1"]


def test_waiting_for_a_slow_grader_stays_small_against_sampling() -> None:
    """A grader of 30 ms a sample, 64 samples: 1.9 s of work; of each group one completion lasts to the end."""
    order = [(i, j) for j in range(8) for i in range(8)]
    engine = ScriptedEngine(order, lambda place: time.sleep(0.1) if place % 8 == 0 else None)
    grader = ScriptedGrader(before=lambda samples: time.sleep(0.03 * len(samples)))
    rollout = rolled(engine, grader, prompts=8, n=8)
    assert rollout.seconds_waiting < 0.5 * rollout.seconds_sampling


def test_a_grader_that_does_not_keep_up_gets_larger_but_shared_calls() -> None:
    free = threading.Event()
    entered = threading.Semaphore(0)

    def hold(_: list[Sample]) -> None:
        entered.release()
        assert free.wait(LIMIT_S)

    def fill_all_threads_first(place: int) -> None:
        if 0 < place <= SCORING_THREADS:
            assert entered.acquire(timeout=LIMIT_S)
        if place == 99:
            free.set()

    grader = ScriptedGrader(before=hold)
    rollout = rolled(ScriptedEngine([(0, j) for j in range(100)], fill_all_threads_first), grader, prompts=1, n=100)
    assert sorted(len(call) for call in grader.calls[:SCORING_THREADS]) == [1] * SCORING_THREADS
    assert len(grader.calls) < 12
    assert [score.reward for score in rollout.all_scores] == [float(j) for j in range(100)]


def test_a_backlog_is_shared_among_the_threads() -> None:
    grader, threads, most = ScriptedGrader(), 4, 2
    queue = ScoringQueue(grader, threads=threads, most=most)
    free = threading.Event()
    for _ in range(threads):
        queue._pool.submit(free.wait, LIMIT_S)
    for number in range(40):
        queue.add(Sample(str(number), Row("r", ()), str(number)))
    assert queue.outstanding == 40
    free.set()
    assert len(queue.finish()) == 40
    assert max(map(len, grader.calls)) == 10  # 40 in 4 threads, though 2 would be enough for a call
    assert queue.outstanding == 0
    assert queue.collect() == {}
    queue.close()


def test_a_grader_that_can_score_nothing_ends_the_rollout() -> None:
    def refuse(_: list[Sample]) -> None:
        raise GraderError("reward.py: the grader is closed.")

    with pytest.raises(GraderError, match="closed"):
        rolled(ScriptedEngine([(0, 0), (0, 1), (1, 0), (1, 1)]), ScriptedGrader(before=refuse))


def test_when_sampling_fails_waiting_samples_are_forgotten() -> None:
    busy = threading.Event()

    def fail(place: int) -> None:
        if place == 200:
            raise NonFiniteError("NaN while sampling.")

    grader = ScriptedGrader(before=lambda _: busy.wait(LIMIT_S) and None)
    try:
        with pytest.raises(NonFiniteError):
            rolled(ScriptedEngine([(0, j) for j in range(201)], fail), grader, prompts=1, n=201)
    finally:
        busy.set()
    for thread in threading.enumerate():
        if thread.name.startswith("scoring"):
            thread.join(LIMIT_S)
    assert len(grader.calls) <= SCORING_THREADS


def test_every_sample_is_shown_with_its_index() -> None:
    seen: list[tuple[str, int]] = []
    order = [(1, 0), (0, 0), (0, 1), (1, 1)]
    rolled(ScriptedEngine(order), ScriptedGrader(), on_sample=lambda sample, index: seen.append((sample.id, index)))
    assert seen == [(f"7/row-{i}/{j}", j) for i, j in order]
