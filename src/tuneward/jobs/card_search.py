"""Finding jobs in a list: by words, state, model and method; a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, func, or_, select, tuple_
from sqlalchemy.orm import Session

from tuneward.jobs.cards import METHOD, JobCard, card_of, select_cards
from tuneward.jobs.models import Mark
from tuneward.jobs.service import metadata_pairs
from tuneward.store.database import Database
from tuneward.store.tables import Job, JobState

MOST_MODELS = 100
"""Names of models that are offered to choose from."""


@dataclass(frozen=True, slots=True)
class CardQuery:
    """Which jobs to list, newest first."""

    limit: int = 50
    after: Mark | None = None
    """Where the page before ended."""
    states: frozenset[JobState] = frozenset()
    """Empty: all."""
    search: str | None = None
    """Part of a name, a model or a value of the metadata, or an id."""
    model: str | None = None
    """As the job names it."""
    method: Literal["reinforcement", "supervised"] | None = None


@dataclass(frozen=True, slots=True)
class CardPage:
    """Part of the list."""

    cards: list[JobCard]
    next: Mark | None
    """Where the next page begins."""


def find_cards(database: Database, project_id: str, query: CardQuery) -> CardPage:
    """A page of the project's jobs."""

    def work(session: Session) -> CardPage:
        wanted = select_cards().where(*_chosen(session, project_id, query))
        if query.states:
            wanted = wanted.where(Job.state.in_(query.states))
        if query.after is not None:
            wanted = wanted.where(tuple_(Job.created_at, Job.id) < tuple_(query.after.created_at, query.after.id))
        wanted = wanted.order_by(Job.created_at.desc(), Job.id.desc()).limit(query.limit + 1)
        rows = session.execute(wanted).all()
        shown = rows[: query.limit]
        mark = Mark(shown[-1].created_at, shown[-1].id) if len(rows) > query.limit else None
        return CardPage([card_of(row) for row in shown], mark)

    return database.read(work)


def count_states(database: Database, project_id: str, query: CardQuery) -> dict[JobState, int]:
    """How many jobs in each state the rest of a query finds; states without any are absent."""

    def work(session: Session) -> dict[JobState, int]:
        wanted = select(Job.state, func.count()).where(*_chosen(session, project_id, query)).group_by(Job.state)
        return dict(session.execute(wanted).tuples().all())

    return database.read(work)


def models_of(database: Database, project_id: str) -> list[str]:
    """The models that jobs of the project name, by name."""
    wanted = select(Job.model).where(Job.project_id == project_id).distinct().order_by(Job.model).limit(MOST_MODELS)
    return database.read(lambda session: list(session.scalars(wanted)))


def _chosen(session: Session, project_id: str, query: CardQuery) -> list[ColumnElement[bool]]:
    """Everything that a query asks of a job but its state."""
    found = [Job.project_id == project_id]
    if query.model is not None:
        found.append(Job.model == query.model)
    if query.method is not None:
        found.append(query.method == METHOD)
    if query.search:
        pairs = metadata_pairs(session)
        found.append(
            or_(
                Job.name.icontains(query.search, autoescape=True),
                Job.model.icontains(query.search, autoescape=True),
                Job.id == query.search.removeprefix("ftjob-"),
                select(pairs.c.key).where(pairs.c.value.icontains(query.search, autoescape=True)).exists(),
            )
        )
    return found
