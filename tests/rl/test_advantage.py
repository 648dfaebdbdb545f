"""Group-relative advantages. Golden numbers: numpy in double precision, sample standard deviation (ddof 1) + 1e-4."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneward.config import AdvantageScale
from tuneward.rl.advantage import group_advantages

NAN = math.nan
SCALES: list[AdvantageScale] = ["group", "batch", "none"]


def advantages(
    rewards: list[float], ids: list[int] | None = None, scale: AdvantageScale = "group", clip: float | None = None
) -> list[float]:
    group_ids = torch.tensor(ids if ids is not None else [0] * len(rewards))
    out = group_advantages(torch.tensor(rewards, dtype=torch.float64), group_ids, scale, clip)
    assert out.dtype == torch.float32
    values: list[float] = out.tolist()
    return values


def naive(rewards: list[float], ids: list[int], scale: AdvantageScale) -> list[float]:
    """One group after another, written for reading."""
    members: dict[int, list[int]] = defaultdict(list)
    for index, (reward, group) in enumerate(zip(rewards, ids, strict=True)):
        if not math.isnan(reward):
            members[group].append(index)
    centred = [0.0] * len(rewards)
    counted: list[int] = []
    for indices in members.values():
        if len(indices) < 2:
            continue
        counted += indices
        values = np.array([rewards[i] for i in indices])
        if values.min() == values.max():
            continue
        divisor = values.std(ddof=1) + 1e-4 if scale == "group" else 1.0
        for i, value in zip(indices, values, strict=True):
            centred[i] = (value - values.mean()) / divisor
    if scale == "batch" and len(counted) > 1:
        spread = math.sqrt(sum(centred[i] ** 2 for i in counted) / (len(counted) - 1))
        centred = [value / (spread + 1e-4) for value in centred]
    return centred


@pytest.mark.parametrize(("scale", "size"), [("group", 0.865875), ("none", 0.5), ("batch", 0.865875)])
def test_golden_numbers(scale: AdvantageScale, size: float) -> None:
    assert advantages([1, 0, 0, 1], scale=scale) == pytest.approx([size, -size, -size, size], abs=1e-6)


def test_a_failed_score_is_zero_and_stays_out_of_the_baseline() -> None:
    assert advantages([1, NAN, 0, 0, 1]) == pytest.approx([0.865875, 0, -0.865875, -0.865875, 0.865875], abs=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("rewards", [[NAN, 5.0, NAN], [NAN, NAN], [3.0]])
def test_a_group_with_fewer_than_two_scores_is_zero(rewards: list[float], scale: AdvantageScale) -> None:
    assert advantages(rewards, scale=scale) == [0.0] * len(rewards)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("reward", [0.1 + 0.2, 0.1, 1e-9, -7.3, 1e12])
def test_equal_rewards_are_exactly_zero_whatever_their_mean_rounds_to(reward: float, scale: AdvantageScale) -> None:
    assert advantages([reward] * 7, scale=scale) == [0.0] * 7
    assert advantages([reward] * 3 + [NAN] + [reward] * 3, scale=scale) == [0.0] * 7


def test_the_batch_scale_divides_every_group_by_the_same_spread() -> None:
    # Centred: ±0.5 twice and ±2; sum of squares 0.5 + 8; ddof 1 over four values.
    spread = math.sqrt(8.5 / 3) + 1e-4
    expected = [-0.5 / spread, 0.5 / spread, -2 / spread, 2 / spread]
    assert advantages([0, 1, 0, 4], [0, 0, 1, 1], "batch") == pytest.approx(expected, abs=1e-6)


def test_a_group_without_a_baseline_does_not_enter_the_batch_spread() -> None:
    with_lone = advantages([0, 1, 0, 4, 100], [0, 0, 1, 1, 2], "batch")
    assert with_lone == [*advantages([0, 1, 0, 4], [0, 0, 1, 1], "batch"), 0.0]


def test_clipping_limits_both_sides_and_nothing_else() -> None:
    plain = advantages([0, 1, 5, -3], scale="none")
    assert advantages([0, 1, 5, -3], scale="none", clip=1.0) == [max(-1.0, min(1.0, value)) for value in plain]


def test_no_rewards_have_no_advantages() -> None:
    assert group_advantages(torch.empty(0), torch.empty(0, dtype=torch.int64)).shape == (0,)


reward = st.sampled_from([0.0, 1.0, 0.3, 0.1 + 0.2, -2.5, NAN]) | st.floats(-100, 100)
batches = st.lists(st.tuples(reward, st.integers(-2, 3)), min_size=1, max_size=20)


@settings(deadline=None)
@given(batches, st.sampled_from(SCALES))
def test_every_batch_equals_the_naive_computation(batch: list[tuple[float, int]], scale: AdvantageScale) -> None:
    rewards, ids = [row[0] for row in batch], [row[1] for row in batch]
    assert advantages(rewards, ids, scale) == pytest.approx(naive(rewards, ids, scale), rel=1e-5, abs=1e-6)


@settings(deadline=None)
@given(batches, st.sampled_from(SCALES), st.randoms(use_true_random=False))
def test_advantages_follow_their_completions_through_any_order(
    batch: list[tuple[float, int]], scale: AdvantageScale, random: object
) -> None:
    order = list(range(len(batch)))
    random.shuffle(order)  # type: ignore[attr-defined]
    plain = advantages([r for r, _ in batch], [g for _, g in batch], scale)
    shuffled = advantages([batch[i][0] for i in order], [batch[i][1] for i in order], scale)
    assert shuffled == pytest.approx([plain[i] for i in order], rel=1e-5, abs=1e-6)


@settings(deadline=None)
@given(batches, st.sampled_from(SCALES))
def test_each_groups_advantages_sum_to_zero(batch: list[tuple[float, int]], scale: AdvantageScale) -> None:
    values = advantages([r for r, _ in batch], [g for _, g in batch], scale)
    sums: dict[int, float] = defaultdict(float)
    for value, (_, group) in zip(values, batch, strict=True):
        sums[group] += value
    assert max(map(abs, sums.values())) < 1e-3
