"""Paired comparison: golden numbers worked out by hand, symmetry, and calibration under the null."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneward.evaluation.statistics import (
    MCNEMAR,
    PERMUTATION,
    UNDECIDED,
    compare_paired,
    mcnemar_p_value,
    sign_flip_p_value,
)

NAN = math.nan


@pytest.mark.parametrize(
    ("lost", "won", "expected"),
    [
        (0, 0, 1.0),
        (0, 5, 2 / 32),  # both tails of five coins
        (1, 7, 2 * (1 + 8) / 256),
        (2, 8, 2 * (1 + 10 + 45) / 1024),
        (3, 3, 1.0),
        (10, 2, 2 * (1 + 12 + 66) / 4096),
    ],
)
def test_mcnemar_agrees_with_binomial_tails_counted_by_hand(lost, won, expected):
    assert mcnemar_p_value(lost, won) == pytest.approx(expected, rel=1e-12)


def test_sign_flips_are_gone_through_exactly_for_few_pairs():
    differences = [0.3, -0.1, 0.25, 0.6, 0.0]
    moved = [value for value in differences if value]
    flips = itertools.product((1, -1), repeat=4)
    sums = [abs(sum(s * v for s, v in zip(signs, moved, strict=True))) for signs in flips]
    expected = sum(value >= abs(sum(moved)) - 1e-12 for value in sums) / 16
    assert sign_flip_p_value(np.array(differences), np.random.default_rng(0), 10) == expected


def test_random_flips_come_near_the_exact_p_value():
    differences = np.array([1.0] * 14 + [-1.0] * 4)  # a coin with 18 throws: the binomial is exact
    expected = mcnemar_p_value(4, 14)
    assert sign_flip_p_value(differences, np.random.default_rng(3), 50_000) == pytest.approx(expected, abs=0.004)


def test_pass_fail_rewards_are_judged_by_mcnemar_and_give_the_hand_numbers():
    base = [0.0] * 12 + [1.0] * 8
    tuned = [1.0] * 10 + [0.0] * 2 + [1.0] * 7 + [0.0]
    result = compare_paired(base, tuned, threshold=1.0)
    assert (result.n, result.excluded, result.exact_lost, result.exact_won) == (20, 0, 1, 10)
    assert result.difference == pytest.approx(0.45)
    assert (result.base_exact, result.tuned_exact) == pytest.approx((0.4, 0.85))
    assert result.p_value == pytest.approx(2 * (1 + 11) / 2048)
    assert result.test == MCNEMAR
    assert result.verdict == "better"
    assert 0.15 <= result.interval_low < 0.25
    assert 0.6 < result.interval_high <= 0.75


def test_bootstrap_interval_agrees_with_the_normal_approximation_on_many_rows():
    draws = np.random.default_rng(11).normal(0.05, 0.3, size=2000)
    result = compare_paired(np.zeros(2000), draws, threshold=9.0)
    half = 1.96 * draws.std(ddof=1) / math.sqrt(2000)
    assert result.interval_low == pytest.approx(draws.mean() - half, abs=0.001)
    assert result.interval_high == pytest.approx(draws.mean() + half, abs=0.001)
    assert result.test == PERMUTATION


def test_failed_scores_exclude_the_pair_and_are_counted():
    result = compare_paired([0.0, NAN, 1.0, 0.0], [1.0, 1.0, NAN, 0.0], threshold=1.0)
    assert (result.n, result.excluded) == (2, 2)
    assert (result.base_reward, result.tuned_reward) == (0.0, 0.5)
    assert "2 left out because a score failed" in result.sentence()


def test_nothing_scored_is_said_in_words_and_survives_json():
    result = compare_paired([NAN, 0.3], [0.2, NAN], threshold=1.0)
    assert result.n == 0
    assert "cannot be compared" in result.sentence()
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["difference"] is None


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="same rows"):
        compare_paired([0.0], [0.0, 1.0], threshold=1.0)


def test_sentence_says_not_distinguishable_when_that_is_so():
    result = compare_paired([0, 1, 0, 1, 1], [1, 0, 0, 1, 1], threshold=1.0)
    assert result.verdict == UNDECIDED
    assert "not distinguishable from the base model" in result.sentence()


def test_graded_rewards_are_judged_by_reward_even_when_few_rows_change_in_exact_success():
    base, tuned = [0.2] * 30 + [0.9], [0.5] * 30 + [1.0]
    result = compare_paired(base, tuned, threshold=1.0)
    assert result.test == PERMUTATION
    assert result.verdict == "better"
    assert result.p_value == result.reward_p_value < 0.001
    assert result.mcnemar_p_value == 1


def test_contradicting_directions_are_not_called_better():
    base = [1.0] * 8 + [0.0] * 40
    tuned = [0.9] * 8 + [0.8] * 40
    result = compare_paired(base, tuned, threshold=1.0)
    assert result.p_value < 0.05
    assert result.interval_low > 0
    assert result.mcnemar_p_value < 0.05
    assert result.verdict == UNDECIDED


rewards = st.floats(-2, 2, allow_nan=False).map(lambda value: round(value, 2)) | st.just(NAN)
pairs = st.lists(st.tuples(rewards, rewards), max_size=30)


@settings(max_examples=60, deadline=None)
@given(pairs, st.integers(0, 3))
def test_swapping_the_models_mirrors_everything(rows, seed):
    base, tuned = [b for b, _ in rows], [t for _, t in rows]
    one = compare_paired(base, tuned, threshold=1.0, seed=seed, resamples=300)
    other = compare_paired(tuned, base, threshold=1.0, seed=seed, resamples=300)
    assert one == compare_paired(base, tuned, threshold=1.0, seed=seed, resamples=300) or one.n == 0
    assert one.n == other.n
    assert 0 <= one.p_value <= 1
    assert 0 <= one.reward_p_value <= 1
    assert one.p_value == pytest.approx(other.p_value)
    assert (one.exact_lost, one.exact_won) == (other.exact_won, other.exact_lost)
    mirrored = {"better": "worse", "worse": "better"}
    assert other.verdict == mirrored.get(one.verdict, one.verdict)
    if one.n:
        assert one.difference == pytest.approx(-other.difference, abs=1e-9)
        assert one.interval_low == pytest.approx(-other.interval_high, abs=1e-9)
        assert one.interval_low - 1e-9 <= one.difference <= one.interval_high + 1e-9 or one.n < 5


@settings(max_examples=30, deadline=None)
@given(st.lists(rewards, max_size=30))
def test_identical_runs_are_never_distinguishable(values):
    result = compare_paired(values, values, threshold=1.0, resamples=200)
    assert result.verdict == UNDECIDED
    assert result.p_value == 1.0


@pytest.mark.parametrize("kind", ["pass_fail", "graded", "partial_credit"])
def test_two_equal_models_are_rarely_told_apart(kind):
    stream = np.random.default_rng({"pass_fail": 1, "graded": 2, "partial_credit": 3}[kind])
    wrong = 0
    for trial in range(400):
        ease = stream.uniform(size=(60, 1))  # a shared difficulty pairs the rows, as real rows do
        draws = stream.uniform(size=(60, 2))
        if kind == "pass_fail":
            values = (draws < ease).astype(float)
        elif kind == "graded":
            values = 0.7 * ease + 0.2 * draws
        else:
            values = np.where(draws < ease, 1.0, np.round(draws, 1) * 0.5)
        result = compare_paired(values[:, 0], values[:, 1], threshold=1.0, seed=trial, resamples=400)
        wrong += result.verdict != UNDECIDED
    assert wrong / 400 <= 0.08
