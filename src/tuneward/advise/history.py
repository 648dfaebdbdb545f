"""What the rules look at: the beginning of a run, its recent steps, and its evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tuneward.records import Record

START_STEPS = 5
"""Steps that stand for the start of the run."""
RECENT_STEPS = 60
"""Steps kept from the end; no rule looks further back, so the memory of a long run stays small."""
EVALUATIONS = 4

FIELDS = (
    *("kind", "step", "reward_mean", "reward_std", "reward_max", "exact", "entropy", "completion_length_mean"),
    *("completion_tokens", "truncated_share", "zero_signal_share", "grad_norm", "mismatch_exp", "mismatch_mean"),
    *("grader_errors", "rows", "held_out", "held_out_std", "held_out_samples"),
)
TIMING_FIELDS = ("seconds_reward", "seconds_step")


@dataclass(frozen=True, slots=True)
class History:
    """The part of a run's records that rules read. Long gone steps are forgotten, the first ones never."""

    start: tuple[Record, ...] = ()
    """The first steps."""
    steps: tuple[Record, ...] = ()
    """The latest steps, the newest last."""
    evaluations: tuple[Record, ...] = ()
    """The latest evaluations, the newest last."""
    base: Record | None = None
    """The first evaluation, usually of the base model."""

    @classmethod
    def of(cls, records: Iterable[Record]) -> History:
        """The history after these records."""
        history = cls()
        for record in records:
            history = history.and_then(record)
        return history

    def and_then(self, record: Record) -> History:
        """The history one record later; records of other kinds change nothing."""
        if record.get("kind") == "step":
            kept = _compact(record)
            start = self.start if len(self.start) >= START_STEPS else (*self.start, kept)
            return replace(self, start=start, steps=(*self.steps, kept)[-RECENT_STEPS:])
        if record.get("kind") == "evaluation":
            kept = _compact(record)
            return replace(self, evaluations=(*self.evaluations, kept)[-EVALUATIONS:], base=self.base or kept)
        return self

    @property
    def step(self) -> int:
        """The newest step seen; 0 before the first."""
        return int(self.steps[-1]["step"]) if self.steps else 0

    def recent(self, name: str, count: int) -> list[float]:
        """A number's values in the latest `count` steps; steps that did not measure it are left out."""
        return _values(self.steps[-count:], name)

    def at_start(self, name: str) -> float | None:
        """Median of a number over the first steps; None when never measured then."""
        values = _values(self.start, name)
        return float(np.median(values)) if values else None


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def trend(values: Sequence[float]) -> tuple[float, float]:
    """Least-squares slope per step, and how many standard errors it is from 0.

    Returns (0, 0) for fewer than 4 values or values all alike.
    """
    n = len(values)
    if n < 4 or min(values) == max(values):
        return 0.0, 0.0
    x = np.arange(n) - (n - 1) / 2
    y = np.asarray(values, dtype=np.float64) - mean(values)
    slope = float(x @ y / (x @ x))
    error = float(np.sqrt(((y - slope * x) ** 2).sum() / (n - 2) / (x @ x)))
    return slope, slope / max(error, 1e-12)


def _compact(record: Record) -> Record:
    timing = record.get("timing", {})
    numbers = {name: record[name] for name in FIELDS if name in record}
    return numbers | {name: timing[name] for name in TIMING_FIELDS if name in timing}


def _values(records: Iterable[Record], name: str) -> list[float]:
    return [float(record[name]) for record in records if name in record]
