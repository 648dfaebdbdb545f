"""How fast a model trained before."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PastSpeed:
    """Seconds per token sampled, of supervised jobs per token learned; the reward's time included."""

    jobs: int
    steps: int
    low: float
    """First quartile of the steps."""
    median: float
    high: float
    """Third quartile."""
    length: float | None
    """Mean length of completions over their limit; None of supervised jobs."""
