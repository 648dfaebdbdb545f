"""The result file of a job, against a table written by hand."""

from __future__ import annotations

import csv
import io

from tuneward.jobs.grader_names import named_graders
from tuneward.jobs.result_csv import step_metrics_csv
from tuneward.records import Record

MULTI = {
    "type": "multi",
    "name": "both",
    "graders": {"exact": {"type": "string_check"}, "prose": {"type": "score_model", "model": "judge"}},
    "calculate_output": "exact + prose",
}
RECORDS: list[Record] = [
    {"kind": "evaluation", "step": 0, "reward_mean": 0.125, "metric/exact": 0.0, "timing": {"seconds": 1.0}},
    {"kind": "preflight", "step": 0, "reward_mean": 9.0},
    {
        "kind": "step", "step": 1, "reward_mean": 0.5, "completion_length_mean": 20.0, "grader_errors": 1,
        "verdict_ok": 3, "metric/exact": 0.25, "metric/prose": 0.75,
        "timing": {"seconds_rollout": 1.0, "seconds_update": 2.0, "seconds_step": 3.5},
    },
    {"kind": "warning", "step": 1, "message": "x"},
    {"kind": "evaluation", "step": 1, "reward_mean": 0.625, "metric/exact": 0.5, "timing": {"seconds": 1.5}},
    {"kind": "step", "step": 2, "reward_mean": float("nan")},
]  # fmt: skip


def test_a_line_a_step_with_the_evaluation_after_it() -> None:
    exact, prose = "scores/graders/string_check/exact", "scores/graders/score_model/prose"
    assert step_metrics_csv(RECORDS, "reinforcement", named_graders({"openai": MULTI})) == (
        "step,train_mean_reward,full_valid_mean_reward,completion_tokens_mean,reasoning_tokens_mean,"
        "mean_unresponsive_rewards,sampling_duration,training_duration,eval_duration,total_duration,"
        f"{exact}/train_reward_mean,{exact}/valid_reward_mean,{prose}/train_reward_mean,{prose}/valid_reward_mean\n"
        "0,,0.125,,,,,,1.0,1.0,,0.0,,\n"
        "1,0.5,0.625,20.0,,0.25,1.0,2.0,1.5,5.0,0.25,0.5,0.75,\n"
        "2,,,,,,,,,,,,,\n"
    )


def test_a_step_done_again_after_a_crash_stands_there_once() -> None:
    text = step_metrics_csv([*RECORDS, {"kind": "step", "step": 1, "reward_mean": 0.75}], "reinforcement")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["step"] for row in rows] == ["0", "1", "2"]
    assert (rows[1]["train_mean_reward"], rows[1]["full_valid_mean_reward"]) == ("0.75", "0.625")


def test_a_supervised_job_has_losses_and_accuracies() -> None:
    records: list[Record] = [
        {"kind": "step", "step": 1, "loss": 2.5, "token_accuracy": 0.25},
        {"kind": "evaluation", "step": 1, "loss": 3.0, "token_accuracy": 0.5},
    ]
    assert step_metrics_csv(records, "supervised") == (
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy,train_mean_token_accuracy,"
        "full_valid_loss,full_valid_mean_token_accuracy\n"
        "1,2.5,0.25,3.0,0.5,0.25,3.0,0.5\n"
    )


def test_a_name_that_a_table_cannot_hold_is_quoted() -> None:
    grader = {"type": "string_check", "name": 'a,"b"'}
    text = step_metrics_csv(RECORDS, "reinforcement", named_graders({"openai": grader}))
    (row, *_) = csv.DictReader(io.StringIO(text))
    assert row['scores/graders/string_check/a,"b"/valid_reward_mean'] == "0.125"


def test_graders_of_every_form_of_reward_have_names() -> None:
    function = "arn:aws:lambda:us-east-1:000000000000:function:mine:3"
    (named,) = named_graders({"function": function})
    assert (named.name, named.type, named.metric) == ("mine", "lambda", "reward_mean")
    listed = {**MULTI, "graders": [{"name": name, **part} for name, part in MULTI["graders"].items()]}  # type: ignore[attr-defined]
    assert named_graders({"openai": listed}) == named_graders({"openai": MULTI})
    assert [grader.model for grader in named_graders({"openai": MULTI})] == [None, "judge"]
    assert named_graders({}) == ()


def test_parts_of_a_composed_reward_are_named_with_their_kinds() -> None:
    reward = {"compose": {"parts": {"answer": {"template": "math_answer"}, "tone": {"judge": {"model": "m"}}}}}
    found = named_graders(reward)
    assert [(grader.name, grader.type, grader.model) for grader in found] == [
        ("answer", "template", None),
        ("tone", "judge", "m"),
    ]
    assert [grader.type for grader in named_graders({"template": "math_answer"})] == ["template"]
