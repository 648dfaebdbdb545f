"""What Prometheus is told: requests, tokens, jobs, models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuneward.errors import StoreError
from tuneward.jobs.states import State
from tuneward.serve.usage import Usage
from tuneward.store.database import Database
from tuneward.store.tables import Job

LATENCIES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
SCRAPE_PATIENCE_S = 1.0


class Metrics:
    """Counters of one application, in a registry of its own.

    Args:
        database: for what is counted when somebody looks.
        loaded_models: how many models are in memory.
    """

    def __init__(self, database: Database, loaded_models: Callable[[], int] | None = None):
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "tuneward_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "tuneward_http_request_seconds",
            "From a request's first line to the last byte of its answer.",
            ["route"],
            buckets=LATENCIES_S,
            registry=self.registry,
        )
        self.tokens = Counter("tuneward_tokens", "Tokens of inference.", ["kind"], registry=self.registry)
        self.rate_limited = Counter(
            "tuneward_rate_limited_requests", "Requests refused by the limits of a key.", registry=self.registry
        )
        self.registry.register(_Jobs(database))
        if loaded_models is not None:
            self.registry.register(_Models(loaded_models))
        ProcessCollector(registry=self.registry)

    def count_tokens(self, usage: Usage) -> None:
        """Add a request's."""
        self.tokens.labels("prompt").inc(usage.prompt_tokens)
        self.tokens.labels("completion").inc(usage.completion_tokens)

    def text(self) -> bytes:
        """In the format of Prometheus; reads the database."""
        return generate_latest(self.registry)


class _Jobs(Collector):
    """Jobs by state, and how long the longest has been waiting for a worker."""

    def __init__(self, database: Database):
        self._database = database

    def describe(self) -> list[Metric]:
        """Named without asking the database, which need not be there yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("tuneward_jobs", "Jobs by state.", labels=["state"])
        wait = GaugeMetricFamily("tuneward_queue_wait_seconds", "How long the longest queued job has been waiting.")
        try:
            counts, oldest = self._database.read(_counts, patience_s=SCRAPE_PATIENCE_S)
        except StoreError:
            return
        for state in get_args(State):
            jobs.add_metric([state], counts.get(state, 0))
        wait.add_metric([], 0.0 if oldest is None else max(0.0, time.time() - oldest))
        yield jobs
        yield wait


class _Models(Collector):
    def __init__(self, loaded: Callable[[], int]):
        self._loaded = loaded

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("tuneward_models_loaded", "Models in memory.", value=self._loaded())


def _counts(session: Session) -> tuple[Mapping[State, int], float | None]:
    rows = session.execute(select(Job.state, func.count()).group_by(Job.state))
    counts = dict(row.tuple() for row in rows)
    oldest = session.scalar(select(func.min(Job.updated_at)).where(Job.state == "queued"))
    return counts, oldest
