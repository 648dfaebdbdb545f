"""What judge models were asked, summed over scores."""

from __future__ import annotations

from collections.abc import Iterable

from tuneward.types import Score

COUNTS = ("calls", "prompt_tokens", "completion_tokens")
"""Keys of `Score.details["usage"]`, which graders that ask models fill in."""


def total_usage(scores: Iterable[Score]) -> dict[str, int]:
    """Sums of the counts that scores have; empty when none asked a model."""
    total: dict[str, int] = {}
    for score in scores:
        usage = score.details.get("usage")
        for name in COUNTS:
            count = usage.get(name) if isinstance(usage, dict) else None
            if isinstance(count, int):
                total[name] = total.get(name, 0) + count
    return total
