"""MLflow: metrics, parameters and tags of a run, at the tracking server that MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tuneward.records import Record
from tuneward.runs.sinks.base import import_library, numbers_of

EXPERIMENT = "tuneward"
RUN_ID_FILE = ".mlflow-run-id"
"""Remembers the tracker's run, so that a resumed run goes on in it."""
LONGEST_VALUE = 500
"""Characters of a parameter value that every MLflow store takes."""


class MlflowSink:
    """One MLflow run per Tuneward run; MLFLOW_EXPERIMENT_NAME overrides the experiment."""

    def __init__(self, run_dir: Path, run_name: str, config: dict[str, Any]) -> None:
        """Raises ConfigError when the library is not installed."""
        module: Any = import_library("mlflow", "mlflow")
        self._client: Any = module.MlflowClient()
        self._entities: Any = module.entities
        marker = run_dir / RUN_ID_FILE
        if marker.exists():
            self._run_id = marker.read_text().strip()
            self._client.update_run(self._run_id, status="RUNNING")
        else:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
            experiment = self._client.get_experiment_by_name(name)
            identity = experiment.experiment_id if experiment else self._client.create_experiment(name)
            self._run_id = self._client.create_run(identity, run_name=run_name).info.run_id
            for key, value in _flat(config):
                self._client.log_param(self._run_id, key, str(value)[:LONGEST_VALUE])
            marker.write_text(self._run_id)
        self._is_open = True

    def write(self, record: Record) -> None:
        """Log a record's numbers in one call; the latest warning becomes a tag."""
        milliseconds = int(time.time() * 1000)
        metrics = [
            self._entities.Metric(name, value, milliseconds, record["step"]) for name, value in numbers_of(record)
        ]
        if metrics:
            self._client.log_batch(self._run_id, metrics=metrics)
        if record["kind"] == "warning":
            self._client.set_tag(self._run_id, f"warning.{record['code']}", record["message"])

    def close(self) -> None:
        """Mark the run as finished."""
        if self._is_open:
            self._is_open = False
            self._client.set_terminated(self._run_id)


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return found
