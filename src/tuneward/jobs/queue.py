"""The queue: taking jobs from the store, keeping them, giving them back.

Several workers on several machines may take from it. A job belongs to the worker that took it last, as long as that
worker renews its lease; a lease that runs out is free for the next. Whatever is written about a job is fenced by the
number of its taking (`tuneward.jobs.lease.held`), so that a worker that was only slow cannot harm the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Select, delete, func, or_, select, text
from sqlalchemy.orm import Session, aliased

from tuneward.jobs.lease import Lease, clock
from tuneward.jobs.service import add_event, enter
from tuneward.jobs.states import TERMINAL, State
from tuneward.store.database import Database
from tuneward.store.tables import Job, SlotLease

Lane = Literal["validation", "training"]
"""Validation needs no slot, so that a mistake in a file is told at once even while all slots are taken."""

WORKING: tuple[State, ...] = ("running", "pausing", "stopping")
"""A job in one of these has begun to train, and goes on before any other begins."""

MAX_ATTEMPTS = 5
"""Times in a row that a job's process may end without progress before the job fails."""

_CLAIMING = 0x74756E65
"""Advisory lock of PostgreSQL: one worker at a time chooses."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job taken from the queue."""

    lease: Lease
    project_id: str
    state: State
    slot: str | None
    """Processor or GPU to train on; None in the lane of validations."""
    attempt: int
    """1 for the first, more after processes that ended without progress."""


class JobQueue:
    """The queue as one worker sees it.

    Args:
        database: the store.
        owner: the worker's name, unlike every other's.
        lease_s: how long a job stays a worker's that says nothing.
    """

    def __init__(self, database: Database, owner: str, *, lease_s: float = 15.0):
        self._database = database
        self.owner = owner
        self.lease_s = lease_s

    def claim(self, lane: Lane, slots: Sequence[str] = (), *, take_over: bool = True) -> Claim | None:
        """Take the next job, or None when there is nothing to do or no slot free.

        Projects take turns: first the one with the fewest jobs under way, of those the one whose last start is the
        longest ago; within a project the job that has waited longest. Begun jobs go on before others begin.

        Args:
            lane: what to do with it.
            slots: of the lane `training`: the machine's, of which one that is free is taken.
            take_over: also take jobs whose lease of another worker has run out.

        Raises:
            StoreError: the database cannot be used at the moment.
        """
        return self._database.write(lambda session: self._claim(session, lane, slots, take_over))

    def renew(self, leases: Iterable[Lease]) -> dict[str, State | None]:
        """Keep jobs, and tell in which state each is; None: it is not this worker's any more. Raises StoreError."""
        return self._database.write(lambda session: {lease.job_id: self._renew(session, lease) for lease in leases})

    def release(self, lease: Lease, *, wait_s: float = 0.0, was_asked: bool = False) -> None:
        """Give a job back as it is; nothing happens when it is another worker's.

        Args:
            lease: of the job.
            wait_s: how long nobody takes it.
            was_asked: its process ended because it was told to, which does not count as an attempt.

        Raises:
            StoreError: the database cannot be used at the moment.
        """

        def work(session: Session) -> None:
            job = session.scalars(select(Job).where(Job.id == lease.job_id).with_for_update()).one_or_none()
            if job is not None and (job.lease_owner, job.lease_token) == (lease.owner, lease.token):
                give_back(session, job, free_at=clock(session) + wait_s if wait_s else None, was_asked=was_asked)

        self._database.write(work)

    def _claim(self, session: Session, lane: Lane, slots: Sequence[str], take_over: bool) -> Claim | None:
        if not self._database.is_sqlite:  # SQLite lets one transaction write at a time anyway
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CLAIMING})
        now = clock(session)
        slot = None
        if lane == "training":
            session.execute(delete(SlotLease).where(SlotLease.expires_at < now))
            taken = set(session.scalars(select(SlotLease.slot).where(SlotLease.slot.in_(slots))))
            slot = next((slot for slot in slots if slot not in taken), None)
            if slot is None:
                return None
        while (job := session.scalars(_next(lane, now, take_over)).first()) is not None:
            if job.attempts >= MAX_ATTEMPTS:
                _give_up(session, job)
                continue
            job.lease_owner, job.lease_token, job.lease_expires_at = self.owner, job.lease_token + 1, now + self.lease_s
            job.attempts += 1
            if slot is not None:
                session.add(SlotLease(slot=slot, job_id=job.id, worker=self.owner, expires_at=now + self.lease_s))
            session.flush()
            lease = Lease(job.id, self.owner, job.lease_token)
            return Claim(lease, job.project_id, job.state, slot, job.attempts)
        return None

    def _renew(self, session: Session, lease: Lease) -> State | None:
        job = session.scalars(select(Job).where(Job.id == lease.job_id).with_for_update()).one_or_none()
        if job is None or (job.lease_owner, job.lease_token) != (lease.owner, lease.token):
            return None
        until = clock(session) + self.lease_s
        slot = session.scalars(select(SlotLease).where(SlotLease.job_id == job.id)).one_or_none()
        if job.state in WORKING and slot is None:
            give_back(session, job, was_asked=True)  # silent for so long that the slot is another job's
            return None
        job.lease_expires_at = until
        if slot is not None:
            slot.expires_at = until
        return job.state


def give_back(session: Session, job: Job, *, free_at: float | None = None, was_asked: bool = False) -> None:
    """Take a job from its worker within a transaction; see `JobQueue.release`."""
    job.lease_owner, job.lease_expires_at = None, free_at
    if was_asked:
        job.attempts = max(0, job.attempts - 1)
    session.execute(delete(SlotLease).where(SlotLease.job_id == job.id))
    session.flush()


def _next(lane: Lane, now: float, take_over: bool) -> Select[Job]:
    """The job to take, the first of the list."""
    other, started = aliased(Job), aliased(Job)
    busy: tuple[State, ...] = ("validating",) if lane == "validation" else (*WORKING, "queued")
    under_way = (
        select(func.count())
        .where(
            other.project_id == Job.project_id,
            other.state.in_(busy),
            other.lease_owner.is_not(None),
            other.lease_expires_at >= now,
        )
        .scalar_subquery()
    )
    last_start = (
        select(func.coalesce(func.max(started.started_at), 0.0))
        .where(started.project_id == Job.project_id)
        .scalar_subquery()
    )
    is_free = or_(Job.lease_expires_at.is_(None), Job.lease_expires_at < now)
    wanted = select(Job).where(Job.state.in_(busy), is_free if take_over else is_free & Job.lease_owner.is_(None))
    order = (Job.state.in_(WORKING).desc(), under_way, Job.started_at.is_(None), last_start, Job.created_at, Job.id)
    return wanted.order_by(*order).limit(1).with_for_update(skip_locked=True, of=Job)


def _give_up(session: Session, job: Job) -> None:
    step = job.progress.get("step")
    where = f"after step {step}" if step else "before the first step"
    message = (
        f"The job's process ended {MAX_ATTEMPTS} times in a row without getting on ({where}); a usual reason is "
        "memory. The worker's log says more. Checkpoints made before stay usable."
    )
    job.error = {"code": "process_died", "message": message, "param": None}
    give_back(session, job)
    enter(session, job, "failed")
    add_event(session, job, "failed", message, level="error")


def is_over(state: State | None) -> bool:
    """Nobody may work on the job any more, as far as this worker is concerned."""
    return state is None or state in TERMINAL
