"""What a job leaves at its output location, in the layout and the columns of Bedrock.

    model-customization-job-ID/training_artifacts/step_wise_training_metrics.csv
    model-customization-job-ID/validation_artifacts/post_fine_tuning_validation/validation_metrics.csv
    model-customization-job-ID/input_data_report.json
    model-customization-job-ID/error_reports/reward_errors.jsonl

The first two are Bedrock's. Names and forms of the reports are not published: the first is what the data check found,
the second holds the calls of the reward that failed. Source: Bedrock RFT contract, 6.4.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuneward.records import Record
from tuneward.runs.folder import RunFolder
from tuneward.runs.sinks import read_records
from tuneward.store.tables import Job
from tuneward.types import Verdict

MOST_REWARD_ERRORS = 1000
"""Failed calls that the error report holds, the first ones."""

Steps = Mapping[int, Mapping[str, Record]]
"""Step → kind of record → record."""

Column = Callable[[Record, Record], Any]
"""A cell from the records of a step and of the evaluation after it; either may be empty."""


def _of_step(name: str) -> Column:
    return lambda step, _: step.get(name)


def _of_evaluation(name: str) -> Column:
    return lambda _, evaluation: evaluation.get(name)


def _perplexity(record: Record) -> float | None:
    loss = record.get("loss")
    return None if loss is None else math.exp(min(loss, 700.0))  # beyond this a float64 is infinite


_TRAINING: dict[str, dict[str, Column]] = {
    "reinforcement": {
        "training_loss": _of_step("loss"),
        "train_reward_mean": _of_step("reward_mean"),
        "train_reward_min": _of_step("reward_min"),
        "train_reward_max": _of_step("reward_max"),
        "policy_entropy": _of_step("entropy"),
        "grad_norm": _of_step("grad_norm"),
        "clip_fraction": _of_step("clip_share"),
        "response_length_mean": _of_step("completion_length_mean"),
        "val_reward_mean": _of_evaluation("reward_mean"),
        "val_response_length_mean": _of_evaluation("completion_length_mean"),
    },
    "supervised": {"training_loss": _of_step("loss"), "perplexity": lambda step, _: _perplexity(step)},
}
_VALIDATION: dict[str, dict[str, Column]] = {
    "reinforcement": {
        "val_reward_mean": _of_evaluation("reward_mean"),
        "val_exact_share": _of_evaluation("exact"),
        "val_response_length_mean": _of_evaluation("completion_length_mean"),
    },
    "supervised": {
        "validation_loss": _of_evaluation("loss"),
        "perplexity": lambda _, evaluation: _perplexity(evaluation),
    },
}


def output_files(job: Job, run_folder: Path) -> dict[str, Path | bytes]:
    """The files of a job that has ended.

    Args:
        job: the job.
        run_folder: of its run; what is missing there is left out.

    Returns:
        Key below the output location → content.

    Raises:
        RunError: the records of the run are damaged.
    """
    run, method = RunFolder(run_folder), job.spec["method"]
    steps = _by_step(read_records(run.metrics)) if run.metrics.is_file() else {}
    trained = [step for step, records in sorted(steps.items()) if "step" in records]
    evaluated = [step for step, records in sorted(steps.items()) if "evaluation" in records and step > 0]
    files: dict[str, Path | bytes] = {}
    if trained:
        files["training_artifacts/step_wise_training_metrics.csv"] = _table(steps, trained, _TRAINING[method])
    if evaluated:
        path = "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv"
        files[path] = _table(steps, evaluated, _VALIDATION[method])
    if run.data_report.is_file():
        files["input_data_report.json"] = run.data_report
    if errors := _reward_errors(run.receipts):
        files["error_reports/reward_errors.jsonl"] = errors
    return {f"model-customization-job-{job.id}/{name}": content for name, content in files.items()}


def _by_step(records: Iterable[Record]) -> Steps:
    steps: dict[int, dict[str, Record]] = {}
    for record in records:
        if record.get("kind") in ("step", "evaluation"):
            steps.setdefault(record["step"], {})[record["kind"]] = record
    return steps


def _table(steps: Steps, wanted: Sequence[int], columns: Mapping[str, Column]) -> bytes:
    """CSV. Steps and epochs count from 0; what was not measured is an empty cell."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["step_number", "epoch_number", *columns])
    for step in wanted:
        train, evaluation = steps[step].get("step", {}), steps[step].get("evaluation", {})
        cells = [column(train, evaluation) for column in columns.values()]
        table.writerow([step - 1, _epoch(train), *cells])
    return text.getvalue().encode()


def _epoch(train: Record) -> int | None:
    """The pass over the rows that a step belongs to; `epoch` says how many passes there were at its end."""
    epoch = train.get("epoch")
    return None if epoch is None else max(0, math.ceil(round(epoch, 6)) - 1)


def _reward_errors(receipts: Path) -> bytes:
    """The lines of failed calls."""
    found: list[bytes] = []
    if not receipts.is_file():
        return b""
    with receipts.open("rb") as lines:
        for line in lines:
            if len(found) < MOST_REWARD_ERRORS and _is_failed(line):
                found.append(line)
    return b"".join(found)


def _is_failed(line: bytes) -> bool:
    try:
        receipt = json.loads(line)
    except ValueError:  # torn, as a killed process leaves the last one
        return False
    return isinstance(receipt, dict) and receipt.get("verdict") != Verdict.OK.value
