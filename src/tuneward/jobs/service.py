"""Jobs as callers see them: create, find, list, steer; events and checkpoints. Both dialects are shells over this."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import ColumnElement, Select, TableValuedAlias, Text, cast, func, or_, select, tuple_
from sqlalchemy.orm import Session

from tuneward.accounts.principal import Principal
from tuneward.jobs.problems import ConflictError, LimitExceededError, ObjectNotFoundError
from tuneward.jobs.spec import JobSpec
from tuneward.jobs.states import TERMINAL, Action, State, after
from tuneward.store.database import Database
from tuneward.store.ids import new_id
from tuneward.store.tables import Checkpoint, Job, JobEvent, Project, RequestToken

T = TypeVar("T")

UserAction = Literal[Action.CANCEL, Action.PAUSE, Action.RESUME, Action.STOP]

PAST = {Action.CANCEL: "cancelled", Action.PAUSE: "paused", Action.RESUME: "resumed", Action.STOP: "stopped"}


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be made."""

    dialect: Literal["openai", "bedrock", "tuneward"]
    """Whose words `request` has; `tuneward` is `POST /api/jobs`."""
    model: str
    """As the caller named it."""
    spec: JobSpec
    request: dict[str, Any]
    """The body as it came; secrets are to be masked before."""
    name: str | None = None
    """None: `ftjob-ID`."""
    user_metadata: dict[str, str] | None = None
    token: str | None = None
    """A second job of the same token is not made; the first one is answered."""
    notes: tuple[tuple[str, str], ...] = ()
    """Code and text of events that are written together with it."""


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs to list, and in which order."""

    limit: int = 20
    after: str | None = None
    """Id of the last job of the page before."""
    states: frozenset[State] | None = None
    name_contains: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    """Pairs that a job's metadata has."""
    without_metadata: bool = False
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list."""

    items: Sequence[T]
    has_more: bool


class JobService:
    """Jobs of all projects; every method looks only at the caller's.

    Args:
        database: where they are.
        active_jobs: most jobs of a project that have not ended.
    """

    def __init__(self, database: Database, *, active_jobs: int = 100):
        self._database = database
        self._active_jobs = active_jobs

    def create(self, principal: Principal, new: NewJob) -> Job:
        """Store a job; a worker validates it next.

        Raises:
            ConflictError: the name is taken.
            LimitExceededError: too many jobs of the project have not ended.
        """

        def work(session: Session) -> Job:
            # One at a time in a project: what is looked at here must not change before the job is stored.
            session.execute(
                select(Project.id).where(Project.id == principal.project_id).with_for_update(key_share=True)
            )
            if new.token and (made := self._made_before(session, principal, new.token)):
                return made
            self._check_room(session, principal.project_id)
            job_id = new_id()
            name = new.name or f"ftjob-{job_id}"
            if session.scalar(select(Job.id).where(Job.project_id == principal.project_id, Job.name == name)):
                raise ConflictError(f'A job named "{name}" exists already; choose another name.', param="jobName")
            now = time.time()
            job = Job(
                id=job_id,
                project_id=principal.project_id,
                created_by=principal.key_id,
                name=name,
                state="validating",
                dialect=new.dialect,
                model=new.model,
                spec=new.spec.model_dump(mode="json"),
                request=new.request,
                user_metadata=new.user_metadata,
                created_at=now,
                updated_at=now,
                phases={},
                progress={},
                result_files=[],
            )
            session.add(job)
            if new.token:
                session.add(
                    RequestToken(
                        project_id=principal.project_id, kind="job", token=new.token, object_id=job_id, created_at=now
                    )
                )
            session.flush()
            for code, message in (("created", f"Created fine-tuning job: ftjob-{job_id}"), *new.notes):
                add_event(session, job, code, message)
            return job

        return self._database.write(work)

    def get(self, project_id: str, name: str) -> Job:
        """A job by its id or name. Raises ObjectNotFoundError."""
        return self._database.read(lambda session: find_job(session, project_id, name))

    def list(self, project_id: str, query: JobQuery) -> Page[Job]:
        """A page of the project's jobs. Raises ObjectNotFoundError when `after` is no job."""
        return self._database.read(lambda session: self._list(session, project_id, query))

    def act(self, project_id: str, name: str, action: UserAction) -> Job:
        """Cancel, pause, resume or stop a job; its process follows within a step.

        Raises:
            ObjectNotFoundError: no such job.
            ConflictError: not in the state that it is in.
        """

        def work(session: Session) -> Job:
            job = find_job(session, project_id, name, lock=True)
            state = after(job.state, action)
            if state is None:
                raise ConflictError(f"Job {job.name} is {job.state}, so it cannot be {PAST[action]}.", code="job_state")
            enter(session, job, state)
            message = {
                "cancelled": "The job was cancelled",
                "pausing": "The job will pause after the current step",
                "paused": "The job is paused",
                "queued": "The job is queued again, and goes on from its newest checkpoint",
                "stopping": "The job will stop after the current step",
                "stopped": "The job was stopped",
            }[state]
            add_event(session, job, state, message)
            return job

        return self._database.write(work)

    def events(
        self, project_id: str, name: str, *, limit: int = 20, after_id: str | None = None, oldest_first: bool = False
    ) -> Page[JobEvent]:
        """A page of a job's events, newest first. Raises ObjectNotFoundError."""

        def work(session: Session) -> Page[JobEvent]:
            job = find_job(session, project_id, name)
            query = select(JobEvent).where(JobEvent.job_id == job.id)
            if after_id is not None:
                seq = session.scalar(select(JobEvent.seq).where(JobEvent.id == after_id, JobEvent.job_id == job.id))
                if seq is None:
                    raise ObjectNotFoundError(f"No event {after_id} of job {job.name}.", param="after")
                query = query.where(JobEvent.seq > seq if oldest_first else JobEvent.seq < seq)
            query = query.order_by(JobEvent.seq if oldest_first else JobEvent.seq.desc())
            return take(session, query, limit)

        return self._database.read(work)

    def checkpoints(
        self, project_id: str, name: str, *, limit: int = 10, after_id: str | None = None
    ) -> Page[Checkpoint]:
        """A page of a job's checkpoints, newest first. Raises ObjectNotFoundError."""

        def work(session: Session) -> Page[Checkpoint]:
            job = find_job(session, project_id, name)
            query = select(Checkpoint).where(Checkpoint.job_id == job.id)
            if after_id is not None:
                last = session.get(Checkpoint, after_id)
                if last is None or last.job_id != job.id:
                    raise ObjectNotFoundError(f"No checkpoint {after_id} of job {job.name}.", param="after")
                query = query.where(Checkpoint.step < last.step)
            return take(session, query.order_by(Checkpoint.step.desc()), limit)

        return self._database.read(work)

    def _made_before(self, session: Session, principal: Principal, token: str) -> Job | None:
        made = session.get(RequestToken, (principal.project_id, "job", token))
        return session.get(Job, made.object_id) if made else None

    def _check_room(self, session: Session, project_id: str) -> None:
        query = select(func.count()).where(Job.project_id == project_id, Job.state.not_in(TERMINAL))
        if (session.scalar(query) or 0) >= self._active_jobs:
            raise LimitExceededError(
                f"{self._active_jobs} jobs of this project have not ended yet; wait for one, or cancel one.",
                code="too_many_jobs",
            )

    def _list(self, session: Session, project_id: str, query: JobQuery) -> Page[Job]:
        wanted = select(Job).where(Job.project_id == project_id)
        if query.states is not None:
            wanted = wanted.where(Job.state.in_(query.states))
        if query.name_contains:
            wanted = wanted.where(Job.name.contains(query.name_contains, autoescape=True))
        if query.created_after is not None:
            wanted = wanted.where(Job.created_at > query.created_after)
        if query.created_before is not None:
            wanted = wanted.where(Job.created_at < query.created_before)
        for key, value in query.metadata.items():
            wanted = wanted.where(_has_pair(session, key, value))
        if query.without_metadata:
            wanted = wanted.where(or_(Job.user_metadata.is_(None), cast(Job.user_metadata, Text).in_(("{}", "null"))))
        place = tuple_(Job.created_at, Job.id)
        if query.after is not None:
            last = find_job(session, project_id, query.after)
            mark = tuple_(last.created_at, last.id)
            wanted = wanted.where(place > mark if query.oldest_first else place < mark)
        order = (Job.created_at, Job.id) if query.oldest_first else (Job.created_at.desc(), Job.id.desc())
        return take(session, wanted.order_by(*order), query.limit)


def _has_pair(session: Session, key: str, value: str) -> ColumnElement[bool]:
    pairs = metadata_pairs(session)
    return select(pairs.c.key).where(pairs.c.key == key, pairs.c.value == value).exists()


def metadata_pairs(session: Session) -> TableValuedAlias:
    """A job's metadata as rows with `key` and `value`; paths into JSON would not take every key on SQLite."""
    function = "json_each" if session.get_bind().dialect.name == "sqlite" else "json_each_text"
    return getattr(func, function)(Job.user_metadata).table_valued("key", "value")  # type: ignore[no-any-return]


def find_job(session: Session, project_id: str, name: str, *, lock: bool = False) -> Job:
    """A project's job by id, `ftjob-ID` or name. Raises ObjectNotFoundError."""
    query = select(Job).where(
        Job.project_id == project_id, or_(Job.id == name.removeprefix("ftjob-"), Job.name == name)
    )
    job = session.scalars(query.with_for_update() if lock else query).first()
    if job is None:
        raise ObjectNotFoundError(f'No job "{name}" here.', code="not_found")
    return job


def enter(session: Session, job: Job, state: State) -> None:
    """Put a job into a state; the caller has asked the table whether it may go there."""
    now = time.time()
    job.state, job.updated_at = state, now
    if state in TERMINAL:
        job.finished_at = now
    session.flush()


def add_event(
    session: Session,
    job: Job,
    code: str,
    message: str,
    *,
    level: str = "info",
    kind: Literal["message", "metrics"] = "message",
    data: dict[str, Any] | None = None,
    event_id: str | None = None,
) -> None:
    """Write down what happened in a job.

    Whoever writes holds the job's row, so that events of one job are committed in the order of their numbers: a reader
    that has seen one has seen those before it.
    """
    job.updated_at = now = time.time()
    session.flush()
    session.add(
        JobEvent(
            id=event_id or new_id("ftevent-", length=24),
            job_id=job.id,
            created_at=now,
            level=level,
            type=kind,
            code=code,
            message=message,
            data=data or {},
        )
    )
    session.flush()


def take(session: Session, query: Select[T], limit: int) -> Page[T]:
    """The first `limit` of a query, and whether there are more."""
    found = session.scalars(query.limit(limit + 1)).all()
    return Page(found[:limit], len(found) > limit)
