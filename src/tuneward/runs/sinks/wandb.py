"""Weights & Biases, through its own library and its own environment variables (WANDB_PROJECT, WANDB_NAME, …)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tuneward.records import Record
from tuneward.runs.sinks.base import import_library, numbers_of

RUN_ID_FILE = ".wandb-run-id"
"""Remembers the tracker's run, so that a resumed run goes on in it."""
STEP = "step"


class WandbSink:
    """One W&B run per Tuneward run.

    Our step is a metric of its own and the x-axis of all others: the library's own step counter only grows, and
    would drop what a resumed run measures again.
    """

    def __init__(self, run_dir: Path, run_name: str, config: dict[str, Any]) -> None:
        """Raises ConfigError when the library is not installed."""
        module: Any = import_library("wandb", "wandb")
        marker = run_dir / RUN_ID_FILE
        identity = marker.read_text().strip() if marker.exists() else None
        self._run: Any = module.init(
            project=os.environ.get("WANDB_PROJECT", "tuneward"),
            name=os.environ.get("WANDB_NAME", run_name),
            id=identity,
            resume="allow",
            dir=str(run_dir),
            config=config,
        )
        marker.write_text(self._run.id)
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)

    def write(self, record: Record) -> None:
        """Log a record's numbers; a warning becomes an alert."""
        numbers = dict(numbers_of(record))
        if numbers:
            self._run.log(numbers | {STEP: record["step"]})
        if record["kind"] == "warning":
            self._run.alert(title=record["code"], text=record["message"])

    def close(self) -> None:
        """Upload the rest and end the run."""
        if self._run is not None:
            self._run.finish()
            self._run = None
