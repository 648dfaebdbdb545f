"""When failed scores stop a run."""

from __future__ import annotations

import json
import math

import pytest

from tuneward.errors import GraderError
from tuneward.rewards import FailurePolicy
from tuneward.types import Receipt, Score, Verdict


def good(count: int) -> list[Score]:
    return [Score(f"g-{index}", 1.0, Receipt("reward.py@00000000", Verdict.OK)) for index in range(count)]


def bad(count: int, message: str = "reward.py: it broke.") -> list[Score]:
    receipt = Receipt("reward.py@00000000", Verdict.ERROR, message)
    return [Score(f"b-{index}", math.nan, receipt) for index in range(count)]


def test_fail_stops_at_the_first_failure_and_says_why() -> None:
    policy = FailurePolicy("fail", 0.1)
    policy.observe(good(3))
    with pytest.raises(GraderError, match=r"reward\.py@00000000: 1 of 5 .*sample b-0: reward\.py: it broke\."):
        policy.observe(good(1) + bad(1))


def test_the_budget_applies_from_fifty_samples_on() -> None:
    policy = FailurePolicy("exclude", 0.1)
    policy.observe(bad(10) + good(39))
    with pytest.raises(GraderError, match=r"11 of 50 samples could not be scored, more than reward\.error_budget 0\.1"):
        policy.observe(bad(1))


def test_a_share_of_exactly_the_budget_is_allowed() -> None:
    policy = FailurePolicy("exclude", 0.1)
    policy.observe(good(90) + bad(10))
    assert (policy.scored, policy.failed) == (100, 10)


def test_a_budget_of_one_never_stops() -> None:
    FailurePolicy("exclude", 1.0).observe(bad(200))


def test_the_most_common_reason_is_named_with_an_example() -> None:
    policy = FailurePolicy("exclude", 0.1)
    with pytest.raises(GraderError, match=r"Most often \(30 times\), for example sample b-0: often"):
        policy.observe(good(20) + bad(5, "rare") + bad(30, "often"))


def test_totals_go_on_after_a_checkpoint() -> None:
    first = FailurePolicy("exclude", 0.1)
    first.observe(good(40) + bad(4))
    second = FailurePolicy("exclude", 0.1)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second.state_dict() == first.state_dict()
    with pytest.raises(GraderError, match="6 of 50"):
        second.observe(good(4) + bad(2))


def test_a_resumed_run_is_not_stopped_for_its_past() -> None:
    policy = FailurePolicy("exclude", 0.1)
    policy.load_state_dict({"scored": 100, "failed": 50, "messages": {"old": [50, "b-0"]}})
    policy.observe(good(8))
    with pytest.raises(GraderError, match="51 of 109"):
        policy.observe(bad(1))


def test_the_state_stays_small_whatever_the_messages() -> None:
    policy = FailurePolicy("exclude", 1.0)
    for index in range(1000):
        policy.observe(bad(1, f"message {index}"))
    assert policy.failed == 1000
    assert len(policy.state_dict()["messages"]) == 200
