"""The reward is tested before a run begins: what is odd becomes a record, what is hopeless stops the run."""

from __future__ import annotations

import pytest
from tests.rewards.bench import graders as g
from tests.rewards.bench.datasets import FACTS, REVIEWS, SUMS

from tuneward.config import RewardConfig
from tuneward.errors import GraderError
from tuneward.records import Record
from tuneward.rewards import FailuresAsZero
from tuneward.runs.reward_check import check_reward

RULE = RewardConfig(template="any")
JUDGE = RewardConfig(judge={"model": "any"})


def test_a_good_reward_leaves_one_event() -> None:
    records: list[Record] = []
    check_reward(g.one_by_one(g.exact_match), REVIEWS, RULE, records.append)
    assert [(record["kind"], record["code"]) for record in records] == [("event", "reward_checked")]


def test_what_is_odd_is_a_warning_with_an_example_and_the_run_goes_on() -> None:
    records: list[Record] = []
    check_reward(g.one_by_one(g.refusals_are_fine), SUMS, RULE, records.append)
    warning = next(record for record in records if record["code"] == "reward_refusal")
    assert (warning["kind"], warning["step"], warning["severity"]) == ("warning", 0, "warning")
    assert "sorry" in warning["message"]
    assert records[-1]["code"] == "reward_checked"


def test_references_that_earn_too_little_are_one_warning_not_one_for_each_kind_of_answer() -> None:
    records: list[Record] = []
    check_reward(g.one_by_one(g.inverted), FACTS, RULE, records.append)
    codes = [record["code"] for record in records if record["kind"] == "warning"]
    assert codes == ["reward_reference_maximum"]


@pytest.mark.parametrize(
    ("grader", "words"),
    [
        (g.FunctionGrader(g.rolling_dice()), "determinism"),
        (g.one_by_one(g.raises_for_all), "nothing could be scored"),
        (FailuresAsZero(g.one_by_one(g.raises_for_all)), "nothing could be scored"),
        (g.one_by_one(g.sometimes_nan), "finite"),
    ],
    ids=["random", "failing", "failing as zero", "NaN"],
)
def test_what_is_hopeless_stops_the_run(grader: g.FunctionGrader, words: str) -> None:
    with pytest.raises(GraderError, match=words):
        check_reward(grader, SUMS, RULE, lambda _: None)


def test_a_judge_may_vary() -> None:
    records: list[Record] = []
    check_reward(g.FunctionGrader(g.moody_judge()), REVIEWS, JUDGE, records.append)
    assert "reward_determinism" in [record["code"] for record in records]


def test_the_same_reward_leaves_the_same_records() -> None:
    twice: list[list[Record]] = [[], []]
    for records in twice:
        check_reward(g.one_by_one(g.substring), REVIEWS, RULE, records.append)
    assert twice[0] == twice[1]
