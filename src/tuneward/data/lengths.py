"""Prompt lengths as they stream by: exact percentiles and a histogram from counts per length."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from tuneward.types import Json

MAX_BINS = 20


@dataclass(frozen=True, slots=True)
class Lengths:
    """Prompt lengths of one file, in tokens."""

    count: int
    minimum: int
    mean: float
    p50: int
    p95: int
    maximum: int
    bins: tuple[tuple[int, int, int], ...]
    """(first length, last length, prompts) of at most 20 bins of equal width, in order, without gaps."""

    def to_json(self) -> dict[str, Json]:
        return {
            "count": self.count,
            "min": self.minimum,
            "mean": round(self.mean, 2),
            "p50": self.p50,
            "p95": self.p95,
            "max": self.maximum,
            "histogram": [{"from": first, "to": last, "prompts": count} for first, last, count in self.bins],
        }


@dataclass(slots=True)
class LengthCounter:
    """Counts prompts by length.

    A file with n different lengths has at least n² / 2 tokens, so even a gigabyte of text has some 20,000 of them:
    exact, and small enough to keep.
    """

    counts: Counter[int] = field(default_factory=Counter)

    def add(self, tokens: int) -> None:
        self.counts[tokens] += 1

    def summary(self) -> Lengths | None:
        """The lengths so far; None when there are none."""
        if not self.counts:
            return None
        count = self.counts.total()
        low, high = min(self.counts), max(self.counts)
        return Lengths(
            count=count,
            minimum=low,
            mean=sum(length * n for length, n in self.counts.items()) / count,
            p50=self.percentile(0.50),
            p95=self.percentile(0.95),
            maximum=high,
            bins=self._bins(low, high),
        )

    def percentile(self, share: float) -> int:
        """Nearest rank: the smallest length that at least `share` of the prompts do not exceed."""
        rank = math.ceil(share * self.counts.total())
        for length in sorted(self.counts):
            rank -= self.counts[length]
            if rank <= 0:
                return length
        raise AssertionError("the rank is at most the number of prompts")

    def _bins(self, low: int, high: int) -> tuple[tuple[int, int, int], ...]:
        width = math.ceil((high - low + 1) / MAX_BINS)
        filled = [0] * math.ceil((high - low + 1) / width)
        for length, n in self.counts.items():
            filled[(length - low) // width] += n
        return tuple((low + i * width, low + (i + 1) * width - 1, n) for i, n in enumerate(filled))
