"""What judge models were asked, summed over scores."""

from __future__ import annotations

from collections.abc import Iterable

from tuneward.config import ConnectionConfig
from tuneward.types import Score

COUNTS = ("calls", "prompt_tokens", "completion_tokens", "cost")
"""Keys of `Score.details["usage"]`, which graders that ask models fill in."""


def usage_of(calls: int, prompt_tokens: int, completion_tokens: int, connection: ConnectionConfig) -> dict[str, float]:
    """What judging one sample took; `cost` is there when the connection has prices, in their currency."""
    usage: dict[str, float] = {"calls": calls, "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    if connection.prompt_price or connection.answer_price:
        price = connection.prompt_price * prompt_tokens + connection.answer_price * completion_tokens
        usage["cost"] = price / 1_000_000
    return usage


def total_usage(scores: Iterable[Score]) -> dict[str, float]:
    """Sums of the counts that scores have; empty when none asked a model."""
    total: dict[str, float] = {}
    for score in scores:
        usage = score.details.get("usage")
        for name in COUNTS:
            count = usage.get(name) if isinstance(usage, dict) else None
            if isinstance(count, int | float):
                total[name] = total.get(name, 0) + count
    return total
