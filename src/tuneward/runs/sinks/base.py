"""What a metric sink is, and what sinks share."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from typing import Any, Protocol

from tuneward.errors import ConfigError
from tuneward.records import Record

METRICS_FILE = "metrics.jsonl"


class MetricSink(Protocol):
    """A place that receives every record of a run, in order."""

    def write(self, record: Record) -> None:
        """Take in a record; it must not be changed."""
        ...

    def close(self) -> None:
        """Write out what is left and release files; safe to call twice."""
        ...


def import_library(module: str, extra: str) -> Any:
    """Import an optional library.

    Raises:
        ConfigError: it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(
            f'run.sinks: "{extra}" needs a library that is not installed; run: pip install "tuneward[{extra}]"'
        ) from None


def numbers_of(record: Record) -> Iterator[tuple[str, float]]:
    """Names and values for trackers: `train/…` and `validation/…`, clock-dependent ones as `timing/…`."""
    group = {"step": "train", "evaluation": "validation", "preflight": "preflight"}.get(record["kind"])
    if group is None:
        return
    timing = "timing" if group == "train" else f"timing/{group}"
    for prefix, values in ((group, record), (timing, record.get("timing", {}))):
        for name, value in values.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and name != "step" and math.isfinite(value):
                yield f"{prefix}/{name}", float(value)
