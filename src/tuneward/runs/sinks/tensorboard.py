"""TensorBoard event files under `tensorboard/` in the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuneward.records import Record
from tuneward.runs.sinks.base import METRICS_FILE, import_library, numbers_of
from tuneward.runs.sinks.jsonl import read_records


class TensorboardSink:
    """Scalars by step; warnings and events as text.

    A resumed run tells TensorBoard to hide what an earlier sitting wrote beyond the step resumed from.
    """

    def __init__(self, run_dir: Path) -> None:
        """Raises ConfigError when the library is not installed."""
        import_library("tensorboard", "tensorboard")
        module: Any = import_library("torch.utils.tensorboard", "tensorboard")
        folder, metrics = run_dir / "tensorboard", run_dir / METRICS_FILE
        seen = [record["step"] for record in read_records(metrics)] if metrics.exists() else []
        purge = max(seen, default=-1) + 1 if folder.exists() else None
        self._writer: Any = module.SummaryWriter(log_dir=str(folder), purge_step=purge)

    def write(self, record: Record) -> None:
        """Add a record's numbers, or its message."""
        for name, value in numbers_of(record):
            self._writer.add_scalar(name, value, record["step"])
        if record["kind"] in ("warning", "event"):
            self._writer.add_text(f"{record['kind']}/{record['code']}", record["message"], record["step"])
        self._writer.flush()

    def close(self) -> None:
        """Write out and close the event file."""
        self._writer.close()
