"""Which numbers a job has, and what each means."""

from __future__ import annotations

from typing import NamedTuple

from tuneward.jobs.series import Kind, names_seen
from tuneward.records import (
    EVALUATION_METRICS,
    FURTHER_METRICS,
    STEP_METRICS,
    SUPERVISED_METRICS,
    TIMING_METRICS,
    Metric,
    metric_title,
)
from tuneward.store.database import Database
from tuneward.store.tables import Job

TIMING = "timing/"
FAULT = "fault/"

_CLOCK: tuple[Metric, ...] = tuple(metric._replace(name=TIMING + metric.name) for metric in TIMING_METRICS)
_EVALUATION_CLOCK = Metric("timing/seconds", "Evaluation time", "s", "the whole evaluation")


class MetricName(NamedTuple):
    """A metric, and the kind of record it was seen in."""

    metric: Metric
    kind: Kind


def metric_names(database: Database, job: Job) -> list[MetricName]:
    """The metrics that a job's records have. Raises StoreError."""
    is_supervised = job.spec["method"] == "supervised"
    kinds: tuple[Kind, Kind] = ("step", "evaluation")
    return [
        MetricName(metric_named(name, kind, is_supervised=is_supervised), kind)
        for kind in kinds
        for name in names_seen(database, job, kind)
    ]


def metric_named(name: str, kind: Kind, *, is_supervised: bool = False) -> Metric:
    """What a name means in one kind of record; of names that nobody registered, the title is made of the name."""
    own = STEP_METRICS if kind == "step" else EVALUATION_METRICS
    first = SUPERVISED_METRICS if is_supervised else ()
    known: list[Metric] = [*first, *own, *FURTHER_METRICS, *_CLOCK, _EVALUATION_CLOCK]
    for metric in known:
        if metric.name == name:
            return metric
    if name.startswith(FAULT):
        return Metric(name, metric_title(name.removeprefix(FAULT)), "share", "samples with this fault of the grader")
    return Metric(name, metric_title(name.removeprefix(TIMING)), "", "")
