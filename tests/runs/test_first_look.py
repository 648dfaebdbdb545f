"""What first answers say, told from made-up scores."""

from __future__ import annotations

import math

import pytest

from tuneward.runs.first_look import Answered, histogram, look_at, tone_of
from tuneward.types import Receipt, Row, Score, Verdict


def answered(*rewards: float, cut: int = 0) -> Answered:
    row = Row("row-1", ({"role": "user", "content": "?"},))
    scores = tuple(
        Score("s", reward, Receipt("g", Verdict.ERROR if math.isnan(reward) else Verdict.OK, wall_s=0.002))
        for reward in rewards
    )
    truncated = tuple(index < cut for index in range(len(rewards)))
    return Answered(row, tuple(map(str, rewards)), truncated, scores, 0.1)


def look(*answers: Answered):  # type: ignore[no-untyped-def]
    return look_at(answers, exact_threshold=1.0, error_budget=0.1)


def test_differing_rewards_are_what_can_be_learned_from() -> None:
    found = look(answered(0, 1, 0, 0), answered(0, 0, 0, 0), answered(1, 0, 0.5, 0), answered(1, 0, 0, 0))
    assert (found.prompts, found.completions, found.scored, found.failed) == (4, 16, 16, 0)
    assert found.mixed_groups_share == 0.75
    assert found.reward_mean == pytest.approx(3.5 / 16)
    assert found.exact_share == 3 / 16
    assert found.advice == ()
    assert tone_of(found, reward_fails=False, reward_warns=False) == "go"
    assert tone_of(found, reward_fails=False, reward_warns=True) == "caution"
    assert tone_of(found, reward_fails=True, reward_warns=False) == "stop"


@pytest.mark.parametrize(
    ("answers", "code", "tone"),
    [
        ([answered(0, 0)] * 4, "base_zero", "stop"),
        ([answered(1, 1)] * 4, "base_solved", "stop"),  # and there is no signal
        ([answered(0.5, 0.5)] * 4, "no_signal", "stop"),
        ([answered(0, 1)] + [answered(0, 0)] * 11, "little_signal", "caution"),
        ([answered(0, 1, cut=2)] * 4, "truncated", "caution"),
        ([answered(0, 1, math.nan, math.nan)] * 4, "grader_failing", "stop"),
    ],
)
def test_what_stands_out_is_said(answers: list[Answered], code: str, tone: str) -> None:
    found = look(*answers)
    assert code in [advice.code for advice in found.advice]
    assert tone_of(found, reward_fails=False, reward_warns=False) == tone


def test_failed_gradings_count_for_nothing_but_themselves() -> None:
    found = look(answered(1, math.nan), answered(0, 1))
    assert (found.scored, found.failed, found.reward_mean) == (3, 1, pytest.approx(2 / 3))
    nothing = look(answered(math.nan, math.nan))
    assert nothing.reward_mean is None
    assert nothing.bins == ()


def test_a_histogram_counts_every_reward_once() -> None:
    rewards = [0.0, 0.05, 0.1, 0.999, 1.0]
    bins = histogram(rewards)
    assert [one.count for one in bins] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (bins[0].low, bins[-1].high) == (0.0, 1.0)
    assert [one.count for one in histogram([0.3, 0.3])] == [2]
