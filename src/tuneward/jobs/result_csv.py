"""`step_metrics.csv`: the result file of a job in OpenAI's columns. Source: OpenAI RFT contract, 2.3.

One line a step. What the evaluation after a step measured stands in that step's line; the base model, measured before
training, is step 0. An empty cell was not measured.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tuneward.jobs.grader_names import NamedGrader
from tuneward.records import Record

REINFORCEMENT = (
    *("step", "train_mean_reward", "full_valid_mean_reward", "completion_tokens_mean", "reasoning_tokens_mean"),
    *("mean_unresponsive_rewards", "sampling_duration", "training_duration", "eval_duration", "total_duration"),
)
SUPERVISED = (
    *("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy", "train_mean_token_accuracy"),
    *("full_valid_loss", "full_valid_mean_token_accuracy"),
)

Cells = dict[str, Any]


def step_metrics_csv(
    records: Iterable[Record],
    method: Literal["reinforcement", "supervised"],
    graders: Sequence[NamedGrader] = (),
) -> str:
    """The content of the file.

    Args:
        records: of the run, in their order; of a step that stands there twice the later one counts.
        method: of the job.
        graders: of the job, for columns of their own (`named_graders`).

    Returns:
        CSV with a header; lines end with a line feed.
    """
    steps: dict[int, dict[str, Record]] = {}
    for record in records:
        if record.get("kind") in ("step", "evaluation"):
            steps.setdefault(record["step"], {})[record["kind"]] = record
    columns = SUPERVISED if method == "supervised" else (*REINFORCEMENT, *_grader_columns(graders))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    for step, by_kind in sorted(steps.items()):
        train, valid = by_kind.get("step", {}), by_kind.get("evaluation", {})
        cells = _supervised(train, valid) if method == "supervised" else _reinforcement(train, valid, graders)
        table.writerow({"step": step} | {name: value for name, value in cells.items() if _is_measured(value)})
    return text.getvalue()


def unresponsive_share(record: Mapping[str, Any]) -> float | None:
    """Share of a step's samples without a usable reward; None when samples were not counted."""
    failed, scored = record.get("grader_errors"), record.get("verdict_ok")
    if failed is None or scored is None or not failed + scored:
        return None
    return float(failed / (failed + scored))


def total_seconds(train: Mapping[str, Any], valid: Mapping[str, Any]) -> float | None:
    """Of a step and its evaluation; None when neither was measured."""
    step, evaluation = train.get("timing", {}).get("seconds_step"), valid.get("timing", {}).get("seconds")
    return None if step is None and evaluation is None else float((step or 0.0) + (evaluation or 0.0))


def _reinforcement(train: Record, valid: Record, graders: Sequence[NamedGrader]) -> Cells:
    timing = train.get("timing", {})
    cells: Cells = {
        "train_mean_reward": train.get("reward_mean"),
        "full_valid_mean_reward": valid.get("reward_mean"),
        "completion_tokens_mean": train.get("completion_length_mean"),
        "mean_unresponsive_rewards": unresponsive_share(train),
        "sampling_duration": timing.get("seconds_rollout"),
        "training_duration": timing.get("seconds_update"),
        "eval_duration": valid.get("timing", {}).get("seconds"),
        "total_duration": total_seconds(train, valid),
    }
    for grader in graders:
        cells[_column(grader, "train")] = train.get(grader.metric)
        cells[_column(grader, "valid")] = valid.get(grader.metric)
    return cells


def _supervised(train: Record, valid: Record) -> Cells:
    accuracy, valid_accuracy = train.get("token_accuracy"), valid.get("token_accuracy")
    return {
        "train_loss": train.get("loss"),
        "train_accuracy": accuracy,
        "train_mean_token_accuracy": accuracy,
        "valid_loss": valid.get("loss"),
        "valid_mean_token_accuracy": valid_accuracy,
        "full_valid_loss": valid.get("loss"),
        "full_valid_mean_token_accuracy": valid_accuracy,
    }


def _grader_columns(graders: Sequence[NamedGrader]) -> list[str]:
    return [_column(grader, split) for grader in graders for split in ("train", "valid")]


def _column(grader: NamedGrader, split: Literal["train", "valid"]) -> str:
    return f"scores/graders/{grader.type}/{grader.name}/{split}_reward_mean"


def _is_measured(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))
