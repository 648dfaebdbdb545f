"""What has changed in the jobs that somebody watches: one query finds out, however many watch; more only on changes.

A job's `updated_at` changes with its events and with whatever else callers see of it. It is compared, never ordered:
workers on several machines need not agree about the time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from sqlalchemy import Select, and_, func, or_, select, union
from sqlalchemy.orm import Session

from tuneward.jobs.cards import JobCard, cards_by_id
from tuneward.jobs.states import STATES, TERMINAL
from tuneward.store.database import Database
from tuneward.store.tables import Job, JobEvent, JobState

UNDER_WAY = tuple(state for state in STATES if state not in TERMINAL)

NEW_S = 60.0
"""A job that was created so recently is looked at even when it has ended already."""

MOST_EVENTS = 500
"""Of one look; the rest comes with the next."""

PATIENCE_S = 1.0

Versions: TypeAlias = dict[str, tuple[str, JobState, float]]
"""Bare id → project, state, `updated_at`."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one look has found."""

    cards: list[tuple[str, JobCard]] = field(default_factory=list)
    """Projects and cards of jobs that changed, or were not known before."""
    events: list[JobEvent] = field(default_factory=list)
    """Of watched jobs, after those that were known, in order."""
    counts: dict[str, dict[JobState, int]] = field(default_factory=dict)
    """Of projects in which a job has entered another state: how many jobs are in each."""


class ChangeReader:
    """Remembers what it has seen; for one thread at a time.

    Args:
        database: of the server.
    """

    def __init__(self, database: Database):
        self._database = database
        self._known: Versions = {}
        self._read: Set[str] = frozenset()
        """Jobs whose events the last look was for."""

    def look(self, projects: Set[str], jobs: Mapping[str, int]) -> Changes:
        """Look once.

        Args:
            projects: whose jobs are watched as cards.
            jobs: bare ids of jobs whose events are watched, and the number of the last event known of each.

        Raises:
            StoreError: the database cannot be used at the moment.
        """
        work = partial(self._look, projects=projects, jobs=jobs)
        found, self._known = self._database.read(work, patience_s=PATIENCE_S)
        self._read = jobs.keys()
        return found

    def _look(self, session: Session, projects: Set[str], jobs: Mapping[str, int]) -> tuple[Changes, Versions]:
        under_way = {
            id for id, (project, state, _) in self._known.items() if project in projects and state not in TERMINAL
        }
        rows = session.execute(_versions(projects, {*jobs, *under_way})).tuples()
        now: Versions = {id: (project, state, updated_at) for id, project, state, updated_at in rows}
        # A job that was known as a card alone may have events that nobody has read.
        new = jobs.keys() - self._read
        changed = {id for id, version in now.items() if self._known.get(id) != version or id in new}
        if not changed:
            return Changes(), now
        events = _events(session, {id: after for id, after in jobs.items() if id in changed})
        found = Changes(cards_by_id(session, changed), events, _counts(session, projects & self._entered(now)))
        # Jobs with more events than one look takes are looked at again.
        unread = changed & jobs.keys() if len(events) == MOST_EVENTS else set()
        return found, {id: version for id, version in now.items() if id not in unread}

    def _entered(self, now: Versions) -> set[str]:
        """Projects of jobs that are in another state than before."""
        return {
            project for id, (project, state, _) in now.items() if id not in self._known or self._known[id][1] != state
        }


def newest_seq(session: Session, job_id: str) -> int:
    """Number of a job's newest event; 0 before the first."""
    return session.scalar(select(func.max(JobEvent.seq)).where(JobEvent.job_id == job_id)) or 0


def events_after(session: Session, job_id: str, seq: int, limit: int) -> list[JobEvent]:
    """A job's next events, oldest first."""
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.seq > seq)
    return list(session.scalars(query.order_by(JobEvent.seq).limit(limit)))


def _versions(projects: Set[str], ids: Set[str]) -> Select[str, str, JobState, float]:
    # One branch for each index; a single condition with "or" would be answered by reading the whole table.
    version = select(Job.id, Job.project_id, Job.state, Job.updated_at)
    ours = Job.project_id.in_(projects)
    return union(  # type: ignore[return-value]
        version.where(ours, Job.state.in_(UNDER_WAY)),
        version.where(ours, Job.created_at > time.time() - NEW_S),
        version.where(Job.id.in_(ids)),
    )


def _events(session: Session, after: Mapping[str, int]) -> list[JobEvent]:
    if not after:
        return []
    wanted = or_(*(and_(JobEvent.job_id == id, JobEvent.seq > seq) for id, seq in after.items()))
    return list(session.scalars(select(JobEvent).where(wanted).order_by(JobEvent.seq).limit(MOST_EVENTS)))


def _counts(session: Session, projects: Set[str]) -> dict[str, dict[JobState, int]]:
    counts: dict[str, dict[JobState, int]] = {project: {} for project in projects}
    if projects:
        query = select(Job.project_id, Job.state, func.count()).where(Job.project_id.in_(projects))
        for project, state, count in session.execute(query.group_by(Job.project_id, Job.state)).tuples():
            counts[project][state] = count
    return counts
