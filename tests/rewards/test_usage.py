"""What judges cost: calls and tokens always, money when prices are known."""

from __future__ import annotations

import pytest

from tuneward.config import ConnectionConfig
from tuneward.rewards.usage import total_usage, usage_of
from tuneward.types import Receipt, Score, Verdict


def test_prices_are_those_of_a_million_tokens() -> None:
    priced = ConnectionConfig(prompt_price=2.5, answer_price=10)
    assert usage_of(1, 200_000, 1_000, priced)["cost"] == pytest.approx(0.5 + 0.01)
    assert "cost" not in usage_of(1, 200_000, 1_000, ConnectionConfig())


def test_sums_are_over_the_samples_that_asked_a_model() -> None:
    receipt = Receipt("judge", Verdict.OK)
    usages = [{"calls": 1, "prompt_tokens": 10, "completion_tokens": 2, "cost": 0.25}, {"calls": 2, "cost": 0.5}, {}]
    scores = [Score(str(n), 1.0, receipt, details={"usage": usage}) for n, usage in enumerate(usages)]
    scores.append(Score("rule", 1.0, receipt))
    assert total_usage(scores) == {"calls": 3, "prompt_tokens": 10, "completion_tokens": 2, "cost": 0.75}
