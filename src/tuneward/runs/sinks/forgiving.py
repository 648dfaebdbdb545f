"""A sink that may fail without ending the run."""

from __future__ import annotations

import logging

from tuneward.records import Record
from tuneward.runs.sinks.base import MetricSink

LOG = logging.getLogger(__name__)


class ForgivingSink:
    """Wraps a sink outside the run folder: a tracker that is out of reach must not end hours of training.

    The first failure is logged with its reason and the sink gets no further records; `metrics.jsonl` has them all.
    """

    def __init__(self, name: str, sink: MetricSink) -> None:
        self._name = name
        self._sink: MetricSink | None = sink

    def write(self, record: Record) -> None:
        """Pass the record on while the sink works."""
        if self._sink is None:
            return
        try:
            self._sink.write(record)
        except Exception as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the sink; a failure is logged."""
        sink, self._sink = self._sink, None
        if sink is None:
            return
        try:
            sink.close()
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._sink = None
        LOG.warning(
            "%s stopped taking metrics (%s: %s); training goes on, metrics.jsonl has everything.",
            self._name,
            type(error).__name__,
            error,
        )
