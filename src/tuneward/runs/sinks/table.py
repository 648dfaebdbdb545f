"""The two CSV files: `step_wise_training_metrics.csv` and `validation_metrics.csv`.

Their first columns carry the names that readers of the hosted product's output know (contract section 6.4); what
we measure beyond those follows under the names of `records.py`. An empty cell was not measured.

`step_number` counts from 0, while our steps count from 1. In both files it is the number of optimizer updates that
the measured policy had behind it: training step s samples before it updates, so its row is s - 1, and an evaluation
after step s is row s (the base model is row 0). Rows of the two files with one number thus speak of the same policy,
and `val_*` in the training file come from the evaluation of that very policy. The last evaluation has no
training row and stands in the validation file only.

`epoch_number` counts from 0 too: the epoch in which the last row of the step lies.

`perplexity` is exp(entropy): training text is the policy's own, and the expected log-loss on it is the entropy. In
supervised runs, whose text is given, it is exp(loss). `validation_loss` is theirs too: with rewards there is no loss on
validation prompts.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path

from tuneward.errors import RunError
from tuneward.records import EVALUATION_METRICS, STEP_METRICS, TIMING_METRICS, Record
from tuneward.runs.sinks.base import METRICS_FILE
from tuneward.runs.sinks.jsonl import read_records, replace_file

TRAINING_FILE = "step_wise_training_metrics.csv"
VALIDATION_FILE = "validation_metrics.csv"

TRAINING_NAMES = {
    "loss": "training_loss",
    "reward_mean": "train_reward_mean",
    "reward_min": "train_reward_min",
    "reward_max": "train_reward_max",
    "entropy": "policy_entropy",
    "grad_norm": "grad_norm",
    "clip_share": "clip_fraction",
    "completion_length_mean": "response_length_mean",
}
"""Our name → theirs."""

VALIDATION_NAMES = {
    "reward_mean": "val_reward_mean",
    "completion_length_mean": "val_response_length_mean",
    "loss": "validation_loss",
}

TRAINING_COLUMNS = (
    *("step_number", "epoch_number", "training_loss", "perplexity"),
    *("train_reward_mean", "train_reward_min", "train_reward_max", "policy_entropy", "grad_norm", "clip_fraction"),
    *("response_length_mean", "val_reward_mean", "val_response_length_mean"),
    *(metric.name for metric in STEP_METRICS if metric.name not in TRAINING_NAMES),
    *(metric.name for metric in TIMING_METRICS),
)
VALIDATION_COLUMNS = (
    *("step_number", "epoch_number", "validation_loss", "perplexity", "val_reward_mean", "val_response_length_mean"),
    *(metric.name for metric in EVALUATION_METRICS if metric.name not in VALIDATION_NAMES),
    "seconds",
)

Row = dict[str, str]


class CsvSink:
    """Keeps both files up to date.

    Rows already in the run's `metrics.jsonl` are taken from there at the start. A record with a component that no
    record had before widens the header, and the file is then written anew.
    """

    def __init__(self, run_dir: Path) -> None:
        self._training = _Table(run_dir / TRAINING_FILE, TRAINING_COLUMNS)
        self._validation = _Table(run_dir / VALIDATION_FILE, VALIDATION_COLUMNS)
        self._epoch = 0
        self._latest_evaluation: Record = {}
        if (run_dir / METRICS_FILE).exists():
            for record in read_records(run_dir / METRICS_FILE):
                self._take(record)
        for table in (self._training, self._validation):
            table.write_whole()

    def write(self, record: Record) -> None:
        """Add a step's or an evaluation's row; other records have none. Raises RunError."""
        table = self._take(record)
        if table is not None:
            table.write_last()

    def close(self) -> None:
        """Nothing is held open."""

    def _take(self, record: Record) -> _Table | None:
        if record["kind"] == "step":
            self._epoch = _epoch_number(record)
            head = {"step_number": str(record["step"] - 1), "epoch_number": str(self._epoch)}
            self._training.add(head | _row(record, TRAINING_NAMES) | self._validation_of(record["step"] - 1))
            return self._training
        if record["kind"] == "evaluation":
            self._latest_evaluation = record
            head = {"step_number": str(record["step"]), "epoch_number": str(self._epoch)}
            self._validation.add(head | _row(record, VALIDATION_NAMES))
            return self._validation
        return None

    def _validation_of(self, step: int) -> Row:
        evaluation = self._latest_evaluation
        if evaluation.get("step") != step:
            return {}
        return {name: _cell(evaluation[ours]) for ours, name in VALIDATION_NAMES.items() if ours in evaluation}


def rebuild_csv(run_dir: Path) -> None:
    """Write both files anew from `metrics.jsonl`; they equal those of a run that was never interrupted.

    Raises:
        RunError: the records are damaged, or the disk is full.
    """
    CsvSink(run_dir)


class _Table:
    """One CSV file and its rows."""

    def __init__(self, path: Path, columns: Iterable[str]) -> None:
        self._path = path
        self._columns = list(columns)
        self._rows: list[Row] = []
        self._is_narrow = False
        """The file's header lacks a column."""

    def add(self, row: Row) -> None:
        new = [name for name in row if name not in self._columns]
        self._columns += new
        self._is_narrow |= bool(new)
        self._rows.append(row)

    def write_last(self) -> None:
        if self._is_narrow:
            self.write_whole()
            return
        try:
            with self._path.open("ab") as file:
                file.write(self._lines([self._cells(self._rows[-1])]))
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written ({error.strerror}).") from None

    def write_whole(self) -> None:
        replace_file(self._path, self._lines([self._columns, *map(self._cells, self._rows)]))
        self._is_narrow = False

    def _cells(self, row: Row) -> list[str]:
        return [row.get(name, "") for name in self._columns]

    @staticmethod
    def _lines(rows: Iterable[list[str]]) -> bytes:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().encode("utf-8", "backslashreplace")


def _row(record: Record, names: dict[str, str]) -> Row:
    """A record's numbers under the file's names, sorted, so that new columns come in one order."""
    values = {name: value for name, value in record.items() if name not in ("kind", "step", "timing")}
    values |= record.get("timing", {})
    row = {names.get(name, name): _cell(value) for name, value in sorted(values.items())}
    log_loss = record.get("entropy", record.get("loss") if "token_accuracy" in record else None)
    if log_loss is not None:
        row["perplexity"] = _cell(math.exp(min(log_loss, 700.0)))
    return row


def _cell(value: object) -> str:
    """Numbers as Python writes them: the shortest text that reads back the same."""
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return str(value)


def _epoch_number(record: Record) -> int:
    passes: float = record.get("epoch", 0.0)
    return max(0, math.ceil(passes - 1e-9) - 1)
