"""Random draws: seeds by identity, uniform numbers, and inverse-transform sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tuneward.engine.draw import draw_tokens, sample_seed, uniforms

BELOW_ONE = 1 - 2.0**-53
"""The largest number `uniforms` can return."""
HARD_UNIFORMS = [0.0, 2.0**-53, 0.25, 0.5, 1 - 2.0**-24, BELOW_ONE]


def test_the_sample_seed_is_64_bit_and_repeatable() -> None:
    seed = sample_seed(1, 2, "row-3", 4)
    assert seed == sample_seed(1, 2, "row-3", 4)
    assert 0 <= seed < 2**64


@pytest.mark.parametrize("other", [(9, 2, "row-3", 4), (1, 9, "row-3", 4), (1, 2, "row-9", 4), (1, 2, "row-3", 9)])
def test_the_sample_seed_depends_on_each_part_of_the_identity(other: tuple[int, int, str, int]) -> None:
    assert sample_seed(1, 2, "row-3", 4) != sample_seed(*other)


def test_ten_thousand_identities_have_ten_thousand_seeds() -> None:
    seeds = {
        sample_seed(0, step, f"row-{row}", index) for step in range(10) for row in range(100) for index in range(10)
    }
    assert len(seeds) == 10_000


seeds_64 = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20)


@settings(deadline=None)
@given(seeds_64, st.integers(0, 100_000))
def test_uniforms_lie_in_the_half_open_unit_interval(seeds: list[int], position: int) -> None:
    drawn = uniforms(np.array(seeds, dtype=np.uint64), position)
    assert drawn.dtype == np.float64
    assert ((drawn >= 0) & (drawn < 1)).all()


@settings(deadline=None)
@given(seeds_64, st.integers(0, 1000))
def test_a_uniform_depends_on_its_own_seed_alone(seeds: list[int], position: int) -> None:
    together = uniforms(np.array(seeds, dtype=np.uint64), position)
    alone = [uniforms(np.array([seed], dtype=np.uint64), position)[0] for seed in seeds]
    assert together.tolist() == alone


@pytest.mark.parametrize("axis", ["seeds", "positions"])
def test_uniforms_are_uniform_along(axis: str) -> None:
    if axis == "seeds":
        seeds = np.array([sample_seed(0, 1, "row", index) for index in range(20_000)], dtype=np.uint64)
        drawn = uniforms(seeds, 0)
    else:
        seed = np.array([sample_seed(0, 1, "row", 0)], dtype=np.uint64)
        drawn = np.array([uniforms(seed, position)[0] for position in range(20_000)])
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.03


@pytest.mark.parametrize("vocabulary", [5, 256, 300, 1000])
def test_draws_follow_the_weights(vocabulary: int) -> None:
    stream = np.random.default_rng(vocabulary)
    weights = torch.tensor(stream.gamma(1.0, size=(2, vocabulary)), dtype=torch.float32)
    weights[:, 1] = 0
    n = 40_000
    rows = torch.tensor(stream.integers(0, 2, n))
    tokens = draw_tokens(weights, rows, torch.tensor(stream.random(n)))
    for row in range(2):
        mine = tokens[rows == row]
        share = (weights[row].double() / weights[row].double().sum()).numpy()
        counts = np.bincount(mine.numpy(), minlength=vocabulary)
        positive = share > 0
        assert counts[~positive].sum() == 0
        # Cells that expect fewer than five draws are put together.
        large = positive & (share * len(mine) >= 5)
        rest = positive & ~large
        observed = np.append(counts[large], counts[rest].sum())
        expected = np.append(share[large], share[rest].sum()) * len(mine)
        keep = expected > 0
        assert stats.chisquare(observed[keep], expected[keep]).pvalue > 1e-3


spiky = st.sampled_from([0.0, 0.0, 1e-38, 1e-20, 1e-7, 0.3, 1.0, 1e6, 3e38])


@settings(deadline=None)
@given(
    weights=st.lists(spiky, min_size=1, max_size=20).filter(any),
    copies=st.integers(1, 30),
    zeros_before=st.integers(0, 600),
    zeros_after=st.integers(0, 600),
    uniform=st.sampled_from(HARD_UNIFORMS) | st.floats(0, BELOW_ONE),
)
def test_a_token_of_zero_weight_is_never_drawn(
    weights: list[float], copies: int, zeros_before: int, zeros_after: int, uniform: float
) -> None:
    row = torch.tensor([0.0] * zeros_before + weights * copies + [0.0] * zeros_after)
    token = int(draw_tokens(row[None], torch.tensor([0]), torch.tensor([uniform], dtype=torch.float64)))
    assert 0 <= token < len(row)
    assert row[token] > 0


def test_where_two_ways_of_adding_up_differ_the_last_positive_token_is_drawn() -> None:
    # Weights of very different sizes: the block's sum and its cumulative sum round apart, and the largest
    # uniform falls between the two.
    stream = np.random.default_rng(0)
    weights = torch.zeros(3000, 300)
    weights[:, :200] = torch.tensor(stream.lognormal(0, 12, (3000, 200)), dtype=torch.float32)
    weights[:, 199] = 1e-6 * weights[:, :199].max(1).values
    uniform = torch.full((3000,), BELOW_ONE, dtype=torch.float64)
    tokens = draw_tokens(weights, torch.arange(3000), uniform)
    assert bool((weights[torch.arange(3000), tokens] > 0).all())


@settings(deadline=None)
@given(
    weights=st.lists(st.integers(0, 5), min_size=1, max_size=600).filter(any),
    uniform=st.sampled_from(HARD_UNIFORMS) | st.floats(0, BELOW_ONE),
)
def test_the_token_is_the_first_whose_cumulative_weight_exceeds_the_target(weights: list[int], uniform: float) -> None:
    # Integer weights: their sums are exact, so two levels must agree with one exactly.
    row = torch.tensor(weights, dtype=torch.float32)
    token = int(draw_tokens(row[None], torch.tensor([0]), torch.tensor([uniform], dtype=torch.float64)))
    ends = np.cumsum(weights)
    assert token == int(np.searchsorted(ends, uniform * ends[-1], side="right"))


def test_draws_do_not_depend_on_the_other_samples() -> None:
    stream = np.random.default_rng(0)
    weights = torch.tensor(stream.random((3, 700)), dtype=torch.float32)
    rows, uniform = torch.tensor(stream.integers(0, 3, 50)), torch.tensor(stream.random(50))
    together = draw_tokens(weights, rows, uniform)
    alone = [int(draw_tokens(weights[row : row + 1], torch.tensor([0]), u[None])) for row, u in zip(rows, uniform)]  # noqa: B905
    assert together.tolist() == alone
