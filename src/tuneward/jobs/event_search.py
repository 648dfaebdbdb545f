"""Looking through what happened in a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from tuneward.jobs.service import Page, take
from tuneward.store.database import Database
from tuneward.store.tables import Job, JobEvent

Level: TypeAlias = Literal["info", "warn", "error"]


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events of a job, newest first."""

    limit: int = 50
    before: int | None = None
    """`seq`; only older ones."""
    after: int | None = None
    """`seq`; only newer ones."""
    level: Level | None = None
    code: str | None = None
    contains: str | None = None
    """In the message or the code, whatever the case of its letters."""
    with_metrics: bool = False
    """Those of steps and evaluations too."""


@dataclass(frozen=True, slots=True)
class EventCount:
    """How many events of one kind a job has."""

    code: str
    level: str
    count: int


def find_events(database: Database, job: Job, query: EventQuery) -> Page[JobEvent]:
    """A page of a job's events, newest first. Raises StoreError."""
    wanted = select(JobEvent).where(*_conditions(job, query)).order_by(JobEvent.seq.desc())
    return database.read(lambda session: take(session, wanted, query.limit))


def count_events(database: Database, job: Job) -> list[EventCount]:
    """A job's events by code and level, the most frequent first. Raises StoreError."""
    count = func.count()
    query = (
        select(JobEvent.code, JobEvent.level, count)
        .where(JobEvent.job_id == job.id)
        .group_by(JobEvent.code, JobEvent.level)
        .order_by(count.desc(), JobEvent.code, JobEvent.level)
    )

    def work(session: Session) -> list[EventCount]:
        return [EventCount(*row) for row in session.execute(query)]

    return database.read(work)


def _conditions(job: Job, query: EventQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [JobEvent.job_id == job.id]
    if not query.with_metrics:
        found.append(JobEvent.type != "metrics")
    if query.before is not None:
        found.append(JobEvent.seq < query.before)
    if query.after is not None:
        found.append(JobEvent.seq > query.after)
    if query.level is not None:
        found.append(JobEvent.level == query.level)
    if query.code is not None:
        found.append(JobEvent.code == query.code)
    if query.contains:
        text = query.contains
        found.append(
            or_(JobEvent.message.icontains(text, autoescape=True), JobEvent.code.icontains(text, autoescape=True))
        )
    return found
