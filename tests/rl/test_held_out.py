"""The held-out grader: a few samples a step in the background, all of them in an evaluation, and never any harm."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest
from tests.rewards.scripted import ScriptedGrader
from tests.rl.test_rollout import LIMIT_S, ScriptedEngine

from tuneward.config import Config
from tuneward.errors import GraderError
from tuneward.evaluation.evaluate import Evaluation, evaluate
from tuneward.rewards.held_out import HeldOutGrader
from tuneward.rl.held_out import MOST_OUTSTANDING, HeldOutWatch
from tuneward.rl.measure import add_usage, held_out_numbers, usage_numbers, verdict_counts
from tuneward.types import Prompt, Row, Sample, Score, Verdict

USAGE = {"usage": {"calls": 1, "prompt_tokens": 50, "completion_tokens": 5}}


def sample(number: int, text: str = "1") -> Sample:
    return Sample(f"1/row-{number}/0", Row(f"row-{number}", ()), text)


def settled(watch: HeldOutWatch) -> dict[str, Any]:
    """The numbers once everything taken has been scored."""
    for turn in watch._queue._turns:
        turn.result(LIMIT_S)
    record: dict[str, Any] = {}
    watch.add_to(record)
    return record


def test_one_completion_of_each_group_is_measured() -> None:
    grader = ScriptedGrader(details=USAGE)
    watch = HeldOutWatch(grader)
    for group in range(3):
        for index in range(4):
            watch.see(sample(group, str(group)), index)
    assert settled(watch) == {
        "held_out": 1.0, "held_out_std": 1.0, "held_out_samples": 3, "held_out_errors": 0,
        "judge_calls": 3, "judge_prompt_tokens": 150, "judge_completion_tokens": 15,
    }  # fmt: skip
    assert sorted(grader.asked) == ["1/row-0/0", "1/row-1/0", "1/row-2/0"]
    assert settled(watch) == {}
    watch.close()


def test_a_slow_grader_holds_up_nothing_and_gets_a_bounded_backlog() -> None:
    free = threading.Event()
    watch = HeldOutWatch(ScriptedGrader(before=lambda _: free.wait(LIMIT_S) and None))
    record: dict[str, Any] = {}
    for step in range(10):
        for number in range(20):
            watch.see(sample(100 * step + number), 0)
        watch.add_to(record)  # comes back at once although nothing can be scored
    assert record == {}
    free.set()
    assert settled(watch)["held_out_samples"] == MOST_OUTSTANDING
    watch.close()


def test_failures_are_counted_apart_from_scores() -> None:
    watch = HeldOutWatch(ScriptedGrader(lambda s: Verdict.TIMEOUT if s.completion == "bad" else 1.0))
    for number, text in enumerate(("bad", "good", "bad")):
        watch.see(sample(number, text), 0)
    numbers = settled(watch)
    assert (numbers["held_out"], numbers["held_out_samples"], numbers["held_out_errors"]) == (1.0, 1, 2)
    watch.close()


@pytest.mark.parametrize("error", [GraderError("Raise reward.timeout_s."), ValueError("a bug")])
def test_whatever_the_grader_raises_becomes_failed_scores(error: Exception) -> None:
    def refuse(_: list[Sample]) -> None:
        raise error

    scores = HeldOutGrader(ScriptedGrader(before=refuse)).score([sample(0), sample(1)])
    assert [(math.isnan(score.reward), score.receipt.verdict) for score in scores] == [(True, Verdict.ERROR)] * 2
    assert scores[0].receipt.message in ("Raise reward.held_out.timeout_s.", "a bug")


def test_messages_of_failures_name_the_settings_where_they_stand() -> None:
    grader = ScriptedGrader(lambda _: Verdict.TIMEOUT)
    (score,) = HeldOutGrader(grader).score([sample(0)])
    assert score.receipt.message == "scripted@0 failed. Raise reward.held_out.timeout_s."
    HeldOutGrader(grader).close()
    assert grader.closed == 1


def evaluated(reward: ScriptedGrader, held_out: ScriptedGrader | None) -> Evaluation:
    config = Config.model_validate(
        {"data": {"train": "t"}, "reward": {"file": "r"}, "evaluation": {"samples_per_prompt": 2}}
    )
    prompts = [Prompt(Row(f"row-{i}", ()), (5, 9)) for i in range(3)]
    engine: Any = ScriptedEngine([(i, j) for j in (1, 0) for i in (2, 0, 1)])
    return evaluate(engine, reward, prompts, config, step=4, held_out=held_out)


def test_an_evaluation_measures_every_validation_sample() -> None:
    held_out = ScriptedGrader(lambda s: Verdict.ERROR if s.completion in ("20", "21") else float(s.completion) / 2)
    found = evaluated(ScriptedGrader(), HeldOutGrader(held_out))  # type: ignore[arg-type]
    assert len(held_out.asked) == 6
    assert found.record["reward_mean"] == np.mean([0, 1, 10, 11, 20, 21])
    assert found.record["held_out"] == np.mean([0, 0.5, 5, 5.5])
    assert (found.record["held_out_samples"], found.record["held_out_errors"]) == (4, 2)
    assert [row.to_json()["held_out"] for row in found.rows] == [0.25, 5.25, None]
    assert not any(score.is_failed for score in found.scores)  # its failures are not the run's


def test_an_evaluation_without_a_held_out_grader_says_nothing_of_one() -> None:
    found = evaluated(ScriptedGrader(details=USAGE), None)
    assert not any("held_out" in name for name in found.record)
    assert "held_out" not in found.rows[0].to_json()
    assert found.record["judge_prompt_tokens"] == 300


def scores_of(*verdicts: Verdict) -> list[Score]:
    return [
        ScriptedGrader(lambda _, v=verdict: 1.0 if v is Verdict.OK else v).score([sample(0)])[0] for verdict in verdicts
    ]


def test_every_verdict_is_counted_and_failures_together() -> None:
    scores = scores_of(Verdict.OK, Verdict.OK, Verdict.TIMEOUT, Verdict.OOM, Verdict.INVALID, Verdict.ERROR)
    assert verdict_counts(scores) == {
        "grader_errors": 4, "verdict_ok": 2, "verdict_error": 1, "verdict_timeout": 1, "verdict_oom": 1,
        "verdict_invalid": 1,
    }  # fmt: skip


def test_usage_is_summed_where_there_is_any_and_added_to_what_a_record_has() -> None:
    asked = ScriptedGrader(details=USAGE).score([sample(0), sample(1)])
    assert usage_numbers([*asked, *scores_of(Verdict.OK)]) == {
        "judge_calls": 2, "judge_prompt_tokens": 100, "judge_completion_tokens": 10,
    }  # fmt: skip
    assert usage_numbers(scores_of(Verdict.OK)) == {}
    record = {"judge_calls": 5}
    add_usage(record, asked)
    assert record == {"judge_calls": 7, "judge_prompt_tokens": 100, "judge_completion_tokens": 10}


def test_held_out_numbers_of_failures_alone_have_no_mean() -> None:
    assert held_out_numbers(scores_of(Verdict.ERROR)) == {"held_out_samples": 0, "held_out_errors": 1}
    assert held_out_numbers([]) == {}
