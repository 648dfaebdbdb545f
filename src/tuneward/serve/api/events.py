"""`/api/jobs/{job_id}/events`: what happened in a job, in words; filtered, searched and read back in time."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from tuneward.jobs.event_search import EventQuery, Level, count_events, find_events
from tuneward.serve.api.model import ApiModel
from tuneward.serve.deps import Use, Viewer
from tuneward.store.tables import JobEvent

routes = APIRouter(prefix="/api/jobs/{job_id}/events")

LARGEST = 2**63 - 1
"""Of a `seq`."""


class Diagnosis(ApiModel):
    """What an event of code `warning` says beside its message."""

    code: str
    """Name of the rule, such as `entropy_collapse`."""
    severity: str
    """`info`: good to know; `warning`: look into it; `stop`: going on is very likely useless."""
    action: str | None
    """What to try: the end of the message; None where the rule has nothing to advise."""


class EventCard(ApiModel):
    """Something that happened in a job."""

    seq: int
    """Grows with time; pages begin before or after one."""
    id: str
    created_at: float
    level: str
    """`info`, `warn` or `error`."""
    code: str
    """What kind of event, such as `created`, `warning` or `checkpoint`."""
    message: str
    step: int | None
    """The training step it belongs to."""
    diagnosis: Diagnosis | None


class EventPage(ApiModel):
    """Events, newest first."""

    data: list[EventCard]
    has_more: bool
    """Whether there are older ones (newer ones are never left out when `after` is absent)."""


class EventKind(ApiModel):
    """How many events of a kind there are."""

    code: str
    level: str
    count: int


class EventKinds(ApiModel):
    """The kinds of events that a job has, the most frequent first."""

    data: list[EventKind]


@routes.get("")
def events(
    job_id: str,
    principal: Viewer,
    services: Use,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[int | None, Query(ge=0, le=LARGEST, description="Only older than this `seq`.")] = None,
    after: Annotated[int | None, Query(ge=0, le=LARGEST, description="Only newer than this `seq`.")] = None,
    level: Level | None = None,
    code: Annotated[str | None, Query(max_length=200)] = None,
    search: Annotated[str | None, Query(max_length=200, description="In messages and codes.")] = None,
    metrics: Annotated[bool, Query(description="Also the events of steps and evaluations.")] = False,
) -> EventPage:
    """What happened in a job, newest first."""
    job = services.jobs.get(principal.project_id, job_id)
    query = EventQuery(limit, before, after, level, code, search, metrics)
    page = find_events(services.database, job, query)
    return EventPage(data=[_card(event) for event in page.items], has_more=page.has_more)


@routes.get("/kinds")
def kinds(job_id: str, principal: Viewer, services: Use) -> EventKinds:
    """Which kinds of events a job has, and how many of each."""
    job = services.jobs.get(principal.project_id, job_id)
    counts = count_events(services.database, job)
    return EventKinds(data=[EventKind(code=one.code, level=one.level, count=one.count) for one in counts])


def _card(event: JobEvent) -> EventCard:
    step = event.data.get("step")
    return EventCard(
        seq=event.seq,
        id=event.id,
        created_at=event.created_at,
        level=event.level,
        code=event.code,
        message=event.message,
        step=step if isinstance(step, int) else None,
        diagnosis=_diagnosis(event.data) if event.code == "warning" else None,
    )


def _diagnosis(record: dict[str, Any]) -> Diagnosis:
    return Diagnosis(
        code=str(record.get("code", "warning")),
        severity=str(record.get("severity", "warning")),
        action=record.get("action"),
    )
