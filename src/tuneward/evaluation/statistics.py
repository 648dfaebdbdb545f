"""Is the tuned model better than the base model? Paired comparison of two evaluations over the same rows.

Three questions are answered apart: how large is the mean difference in reward (with a bootstrap interval), did
exact success change (exact McNemar test), and could the rewards have moved by chance (sign-flip permutation).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Verdict: TypeAlias = Literal["better", "worse", "not distinguishable from the base model"]
UNDECIDED: Verdict = "not distinguishable from the base model"

MCNEMAR = "exact McNemar test on exact success"
PERMUTATION = "paired sign-flip permutation test on rewards"

CONFIDENCE = 0.95
ENUMERATED_PAIRS = 14
"""Up to this many differing pairs all 2^n sign flips are gone through, so the p-value is exact."""
CHUNK = 2_000_000
"""Numbers drawn at once; keeps memory at tens of MB however many rows there are."""

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two models' rewards over the same rows say about each other. Numbers are NaN when `n` is 0."""

    n: int
    """Rows scored for both models."""
    excluded: int
    """Rows left out because at least one of the two scores failed."""
    base_reward: float
    """Mean over the `n` rows."""
    tuned_reward: float
    difference: float
    """Mean of tuned - base."""
    interval_low: float
    """Lower end of the 95 % paired percentile bootstrap interval of `difference`."""
    interval_high: float
    base_exact: float
    """Share of the `n` rows with a reward of at least the threshold."""
    tuned_exact: float
    exact_lost: int
    """Rows that only the base model got right (b of the McNemar table)."""
    exact_won: int
    """Rows that only the tuned model got right (c of the McNemar table)."""
    mcnemar_p_value: float
    """Exact, two-sided, on the discordant rows; 1 when there are none."""
    reward_p_value: float
    """Two-sided paired sign-flip permutation test on the rewards."""
    p_value: float
    """The headline: one of the two above."""
    test: str
    """Which one."""
    verdict: Verdict

    def sentence(self) -> str:
        """The outcome in plain words."""
        if self.n == 0:
            return f"No row was scored for both models, so they cannot be compared{self._left_out()}."
        rows = "1 validation row" if self.n == 1 else f"{self.n} validation rows"
        said = f"{self.verdict} than the base model" if self.verdict in ("better", "worse") else self.verdict
        return (
            f"On {rows} the tuned model is {said}: mean reward {self.base_reward:.3f} → {self.tuned_reward:.3f} "
            f"({self.difference:+.3f}, 95 % interval {self.interval_low:+.3f} to {self.interval_high:+.3f}, "
            f"permutation p {_p_words(self.reward_p_value)}), exact success {self.base_exact:.1%} → "
            f"{self.tuned_exact:.1%} (exact McNemar p {_p_words(self.mcnemar_p_value)}){self._left_out()}."
        )

    def _left_out(self) -> str:
        return f"; {self.excluded} left out because a score failed" if self.excluded else ""

    def to_json(self) -> dict[str, Any]:
        """Every field and the sentence; NaN becomes null."""
        fields = dataclasses.asdict(self)
        known = {name: None if isinstance(x, float) and math.isnan(x) else x for name, x in fields.items()}
        return known | {"sentence": self.sentence()}


def compare_paired(
    base: Sequence[float], tuned: Sequence[float], *, threshold: float, seed: int = 0, resamples: int = 10_000
) -> Comparison:
    """Compare the rewards of two models on the same rows.

    The headline p-value is the exact McNemar test when rewards are pass/fail (all 0 or 1), otherwise the permutation
    test on rewards. The verdict is "better" or "worse" only when that p-value is below 0.05, the interval excludes
    0, and exact success did not move the other way by more than chance explains.

    The interval is the plain percentile one: with the exact test beside it, bias correction would add
    degenerate cases (all pairs alike) and decide nothing.

    Args:
        base: reward of each row under the base model; NaN where scoring failed.
        tuned: the same under the tuned model, in the same order.
        threshold: a reward of at least this is an exact success.
        seed: of the resampling; the same inputs and seed give the same numbers.
        resamples: bootstrap samples, and sign flips when they are too many to go through.

    Raises:
        ValueError: the two differ in length, or `resamples` is not positive.

    Source: McNemar 1947, exact form by the binomial on discordant pairs; percentile bootstrap and sign-flip test:
        Efron & Tibshirani, An Introduction to the Bootstrap, chapters 13 and 15.
    """
    if len(base) != len(tuned):
        raise ValueError(f"{len(base)} base rewards but {len(tuned)} tuned ones; both must cover the same rows")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; it must be at least 1")
    before, after = np.asarray(base, dtype=np.float64), np.asarray(tuned, dtype=np.float64)
    scored = ~(np.isnan(before) | np.isnan(after))
    excluded = int((~scored).sum())
    before, after = before[scored], after[scored]
    if not len(before):
        return _nothing_to_compare(excluded)

    differences = after - before
    bootstrap_stream, flip_stream = np.random.default_rng(seed).spawn(2)
    low, high = bootstrap_interval(differences, bootstrap_stream, resamples)
    base_right, tuned_right = before >= threshold, after >= threshold
    lost, won = int((base_right & ~tuned_right).sum()), int((~base_right & tuned_right).sum())
    by_exact = mcnemar_p_value(lost, won)
    by_reward = sign_flip_p_value(differences, flip_stream, resamples)
    is_pass_fail = bool(np.isin(before, (0.0, 1.0)).all() and np.isin(after, (0.0, 1.0)).all())
    p_value = by_exact if is_pass_fail else by_reward
    difference = float(differences.mean())
    contradicts = by_exact < 0.05 and (won - lost) * difference < 0
    return Comparison(
        n=len(before),
        excluded=excluded,
        base_reward=float(before.mean()),
        tuned_reward=float(after.mean()),
        difference=difference,
        interval_low=low,
        interval_high=high,
        base_exact=float(base_right.mean()),
        tuned_exact=float(tuned_right.mean()),
        exact_lost=lost,
        exact_won=won,
        mcnemar_p_value=by_exact,
        reward_p_value=by_reward,
        p_value=p_value,
        test=MCNEMAR if is_pass_fail else PERMUTATION,
        verdict=UNDECIDED if contradicts else _verdict(low, high, p_value),
    )


def mcnemar_p_value(lost: int, won: int) -> float:
    """Exact two-sided McNemar test: are `lost` and `won` discordant pairs a fair coin's? 1 when there are none."""
    if lost + won == 0:
        return 1.0
    return float(stats.binomtest(lost, lost + won, 0.5).pvalue)


def bootstrap_interval(differences: Floats, stream: np.random.Generator, resamples: int) -> tuple[float, float]:
    """95 % percentile interval of the mean; rows are drawn as pairs, so what a row adds to both models cancels."""
    n = len(differences)
    means = np.concatenate(
        [differences[stream.integers(0, n, size=(count, n))].mean(axis=1) for count in _chunks(resamples, n)]
    )
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def sign_flip_p_value(differences: Floats, stream: np.random.Generator, resamples: int) -> float:
    """Two-sided p-value of the mean when the sign of each difference is a coin flip.

    Exact for up to `ENUMERATED_PAIRS` non-zero differences; otherwise by random flips, counting the observed one,
    so that it is never 0.
    """
    moved = differences[differences != 0]
    n = len(moved)
    if n == 0:
        return 1.0
    # Sums of the same numbers in another order differ in the last bits; ties must count as ties.
    reach = abs(float(moved.sum())) - 1e-9 * float(np.abs(moved).sum())
    if n <= ENUMERATED_PAIRS:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float((np.abs((1 - 2 * bits) @ moved) >= reach).mean())
    extreme = 0
    for count in _chunks(resamples, n):
        signs = 1 - 2 * stream.integers(0, 2, size=(count, n), dtype=np.int8)
        extreme += int((np.abs(signs @ moved) >= reach).sum())
    return (extreme + 1) / (resamples + 1)


def _chunks(total: int, width: int) -> Iterator[int]:
    size = max(1, CHUNK // width)
    for start in range(0, total, size):
        yield min(size, total - start)


def _verdict(low: float, high: float, p_value: float) -> Verdict:
    if p_value >= 0.05 or low <= 0 <= high:
        return UNDECIDED
    return "better" if low > 0 else "worse"


def _nothing_to_compare(excluded: int) -> Comparison:
    nan = math.nan
    return Comparison(0, excluded, nan, nan, nan, nan, nan, nan, nan, 0, 0, 1.0, 1.0, 1.0, PERMUTATION, UNDECIDED)


def _p_words(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}"
