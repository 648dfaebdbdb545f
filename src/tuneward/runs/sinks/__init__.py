"""Where a run's records go: always `metrics.jsonl` and the CSV files, and further places on request.

`metrics.jsonl` is the single truth; whatever else holds metrics can be made again from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tuneward.errors import ConfigError, TunewardError, did_you_mean
from tuneward.runs.sinks.base import METRICS_FILE, MetricSink
from tuneward.runs.sinks.forgiving import ForgivingSink
from tuneward.runs.sinks.jsonl import JsonlSink, read_records
from tuneward.runs.sinks.table import CsvSink, rebuild_csv

__all__ = ["METRICS_FILE", "CsvSink", "JsonlSink", "MetricSink", "build_sinks", "read_records", "rebuild_csv"]

FURTHER = ("tensorboard", "mlflow", "wandb")


def build_sinks(names: Iterable[str], run_dir: Path, run_name: str, config: dict[str, Any]) -> list[MetricSink]:
    """The sinks of a run, `metrics.jsonl` first so that the truth is written before its copies.

    On resume call `JsonlSink.truncate_after` and `rebuild_csv` before this.

    Args:
        names: further sinks: `tensorboard`, `mlflow`, `wandb`.
        run_dir: the run folder.
        run_name: name under which experiment trackers show the run.
        config: the whole configuration as plain values, for trackers that store it.

    Raises:
        ConfigError: an unknown name, its library is not installed, or it cannot be reached.
    """
    # Further ones first: a missing library must be told before any file is touched.
    further = [ForgivingSink(name, _open(name, run_dir, run_name, config)) for name in names]
    return [JsonlSink(run_dir / METRICS_FILE), CsvSink(run_dir), *further]


def _open(name: str, run_dir: Path, run_name: str, config: dict[str, Any]) -> MetricSink:
    try:
        return _build(name, run_dir, run_name, config)
    except TunewardError:
        raise
    except Exception as error:
        raise ConfigError(
            f'run.sinks: "{name}" cannot be started ({type(error).__name__}: {error}); mend that, or leave it out.'
        ) from error


def _build(name: str, run_dir: Path, run_name: str, config: dict[str, Any]) -> MetricSink:
    if name == "tensorboard":
        from tuneward.runs.sinks.tensorboard import TensorboardSink

        return TensorboardSink(run_dir)
    if name == "mlflow":
        from tuneward.runs.sinks.mlflow import MlflowSink

        return MlflowSink(run_dir, run_name, config)
    if name == "wandb":
        from tuneward.runs.sinks.wandb import WandbSink

        return WandbSink(run_dir, run_name, config)
    hint = did_you_mean(name, FURTHER) or f"; known: {', '.join(FURTHER)}"
    raise ConfigError(f'run.sinks: unknown sink "{name}"{hint}.')
