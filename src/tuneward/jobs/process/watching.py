"""What callers see of a run while it goes: its records as events, its progress, its checkpoints."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.orm import Session

from tuneward.jobs.phases import begin_phase
from tuneward.jobs.process.context import JobContext, without_timing
from tuneward.jobs.process.publishing import Publisher
from tuneward.jobs.trend import Trend
from tuneward.records import Record
from tuneward.runs.checkpoint import newest_whole, step_of
from tuneward.runs.folder import RunFolder
from tuneward.runs.sinks import read_records
from tuneward.runs.sinks.jsonl import encode
from tuneward.store.tables import Job

METRICS = ("step", "evaluation", "preflight")
"""Kinds of records that hold numbers."""


class JobWatcher:
    """Watches a run of either method; everything it writes goes through the journal.

    An event's identity follows from its record, so a step that is done again after a crash, and a record that had not
    reached the store before one, each end as one event.
    """

    def __init__(self, context: JobContext, publisher: Publisher):
        self._context = context
        self._publisher = publisher
        self._seen: Counter[tuple[str, int, str]] = Counter()
        self._records: dict[tuple[str, int], Record] = {}
        """(kind, step) → the newest record."""
        self._trained_tokens = 0
        self._metric = "loss" if context.spec.method == "supervised" else "reward_mean"
        self._trend = Trend()
        self._validations: dict[str, Any] = {}
        self._total_steps = 0
        self._saved_step = -1

    def prepared(self, run: RunFolder, config: Any, prompts: Any, plan: Any, *_: object) -> None:
        """See `Watcher.prepared`: everything is loaded; what an earlier sitting left unsaid is made up for."""
        self._total_steps = plan.total_steps
        training = config.training
        resolved = {
            "total_steps": plan.total_steps,
            "evaluate_every": plan.evaluate_every,
            "epochs": training.epochs,
            "batch_size": getattr(training, "prompts_per_step", None) or training.rows_per_step,
            "samples_per_prompt": getattr(training, "samples_per_prompt", None),
            "learning_rate": training.learning_rate,
            "training_rows": len(prompts.train),
            "validation_rows": len(prompts.validation),
            "max_prompt_length": getattr(config.data, "max_prompt_length", None),
        }

        def begin(_session: Session, job: Job) -> None:
            begin_phase(job, "training")
            job.progress = {**job.progress, "total_steps": plan.total_steps, "plan": resolved}

        self._context.journal.add(begin)
        for record in read_records(run.metrics) if run.metrics.is_file() else ():
            self._take(record)
        self._recover_checkpoints(run)
        if self._context.asked.is_set():  # while everything was loading, before the run could listen
            os.kill(os.getpid(), signal.SIGTERM)

    def recall(self, run: RunFolder) -> None:
        """Know what was measured in earlier sittings, without telling of it."""
        for record in read_records(run.metrics) if run.metrics.is_file() else ():
            self._records[record["kind"], record["step"]] = record

    def write(self, record: Record) -> None:
        """See `Watcher.write`."""
        self._take(record)

    def saved(self, step: int, checkpoint: Path) -> None:
        """See `Watcher.saved`: a checkpoint after an evaluation can be served."""
        if step > 0 and ("evaluation", step) in self._records:
            self.publish(step, checkpoint / "adapter")
        if step > self._saved_step:  # what a crash can no longer take back
            self._context.journal.add(_note_progress)
            self._saved_step = step

    def publish(self, step: int, adapter: Path) -> None:
        """Make an adapter a checkpoint that can be served, with what was measured of it."""
        records = self._records
        self._publisher.checkpoint(step, adapter, records.get(("step", step)), records.get(("evaluation", step)))

    def _recover_checkpoints(self, run: RunFolder) -> None:
        """Publish what an earlier sitting had saved or copied, but could not tell the store."""
        for step in self._publisher.published_steps():
            if ("evaluation", step) in self._records:
                self.publish(step, self._publisher.folder(step))
        newest = newest_whole(run.checkpoints)
        if newest is not None:
            self._saved_step = step_of(newest)
            if self._saved_step > 0 and ("evaluation", self._saved_step) in self._records:
                self.publish(self._saved_step, newest / "adapter")

    def _take(self, record: Record) -> None:
        record = json.loads(encode(record))  # as it is kept: without numbers that are none
        kind, step, code = record["kind"], record["step"], record.get("code", "")
        self._seen[kind, step, code] += 1
        key = f"record {kind} {step} {code} {self._seen[kind, step, code]}"
        if kind in METRICS:
            self._records[kind, step] = record
            self._context.journal.event(kind, self._sentence(record), key=key, kind="metrics", data=record)
            self._follow(record)
        elif kind == "warning":
            level: Literal["info", "warn"] = "info" if record.get("severity") == "info" else "warn"
            self._context.journal.event("warning", record["message"], key=key, level=level, data=record)
        else:
            self._context.journal.event(code, record["message"], key=key, data=record)

    def _follow(self, record: Record) -> None:
        """Keep the job's progress at its newest numbers."""
        now: dict[str, Any] = {}
        if record["kind"] == "step":
            self._trained_tokens += record.get("trained_tokens", 0)
            now = {
                "step": record["step"],
                "trained_tokens": self._trained_tokens,
                "train": without_timing(record),
                "trend": self._trend_with(record),
            }
            left_s = record.get("timing", {}).get("eta_s")
            now["estimated_finish"] = None if left_s is None else time.time() + left_s
        elif record["kind"] == "evaluation":
            now = {"validation": without_timing(record), "validations": self._validations_with(record)}

        def update(_session: Session, job: Job) -> None:
            job.progress = {**job.progress, **now}
            job.updated_at = time.time()

        if now:
            self._context.journal.add(update)

    def _trend_with(self, record: Record) -> dict[str, Any]:
        value = record.get(self._metric)
        if value is not None:
            self._trend.add(record["step"], value)
        return self._trend.told()

    def _validations_with(self, record: Record) -> dict[str, Any]:
        """The base model's result, the best one since, and its step."""
        value, step = record.get(self._metric), record["step"]
        best = self._validations.get("best")
        if value is not None and step == 0:
            self._validations = {**self._validations, "base": value}
        elif value is not None and (best is None or (value < best if self._metric == "loss" else value > best)):
            self._validations = {**self._validations, "best": value, "best_step": step}
        return self._validations

    def _sentence(self, record: Record) -> str:
        """Source of the step's wording: OpenAI RFT contract, 3.7."""
        kind, step = record["kind"], record["step"]
        place = f"Step {step}/{self._total_steps}"
        is_supervised = self._context.spec.method == "supervised"
        if kind == "step":
            if is_supervised:
                return f"{place}: training loss={record.get('loss', 0.0):.2f}"
            return f"{place} , train mean reward={record.get('reward_mean', 0.0):.2f}"
        if kind == "evaluation":
            if is_supervised:
                return f"{place}: validation loss={record.get('loss', 0.0):.2f}"
            return f"{place} , full validation mean reward={record.get('reward_mean', 0.0):.2f}"
        return f"Before training: mean reward {record.get('reward_mean', 0.0):.2f}"


def _note_progress(_session: Session, job: Job) -> None:
    job.attempts = 0
