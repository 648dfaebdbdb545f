"""What workers do at this moment, by their leases; a worker without work leaves no trace in the store."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuneward.jobs.lease import clock
from tuneward.jobs.states import TERMINAL, State
from tuneward.store.tables import Job, SlotLease

MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Work:
    """A job in the hands of a worker."""

    worker: str
    """`HOST:PROCESS:RANDOM`."""
    slot: str | None
    """`HOST/DEVICE`; None while the job is validated."""
    job: Job
    lease_expires_at: float
    """The worker renews it every few seconds; when it runs out, another worker takes the job."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Of all workers of a store."""

    work: tuple[Work, ...]
    """At most `MOST_SHOWN`, longest begun first."""
    waiting: int
    """Jobs that no worker has and that want one."""
    states: dict[State, int]
    """How many jobs of one project have not ended, by state."""


def activity_of(session: Session, project_id: str) -> Activity:
    """What is under way.

    Args:
        session: of the store.
        project_id: whose jobs are counted by state.
    """
    now = clock(session)
    is_held = (Job.lease_owner.is_not(None), Job.lease_expires_at > now)
    held = session.execute(
        select(Job, SlotLease.slot)
        .outerjoin(SlotLease, SlotLease.job_id == Job.id)
        .where(Job.state.not_in(TERMINAL), *is_held)
        .order_by(Job.created_at, Job.id)
        .limit(MOST_SHOWN)
    )
    work = tuple(Work(job.lease_owner or "", slot, job, job.lease_expires_at or now) for job, slot in held.tuples())
    wanting = Job.state.in_(("validating", "queued", "running", "pausing", "stopping"))
    taken = select(func.count()).where(wanting, *is_held)
    waiting = (session.scalar(select(func.count()).where(wanting)) or 0) - (session.scalar(taken) or 0)
    counts = session.execute(
        select(Job.state, func.count())
        .where(Job.project_id == project_id, Job.state.not_in(TERMINAL))
        .group_by(Job.state)
    )
    return Activity(work, waiting, dict(counts.tuples().all()))
