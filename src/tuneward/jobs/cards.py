"""Jobs in a few numbers, for lists that are looked at all the time: no specification, no request, no events is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel
from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from tuneward.jobs.states import TERMINAL
from tuneward.store.tables import Job, JobState

LONGEST_ERROR = 300
"""Characters of an error's first line."""


class JobTrend(BaseModel):
    """The course of the training reward (of the loss, where there is no reward) since the first step."""

    every: int = 1
    """Steps of each point."""
    values: list[float | None] = []
    """Means of the steps of a point, at most 60; null where none had the number."""


class JobValidation(BaseModel):
    """The validation reward (or loss)."""

    base: float | None = None
    """Of the base model, before training."""
    best: float | None = None
    """The best one after training began."""
    best_step: int | None = None


class JobCard(BaseModel):
    """A job in a list. Times are seconds since 1970."""

    id: str
    """`ftjob-…`."""
    name: str
    state: JobState
    method: Literal["reinforcement", "supervised"]
    model: str
    """As it was asked for: a base model or a tuned one."""
    base_model: str
    """Id of the base model."""
    dialect: str
    """Where it was created: `openai` or `bedrock`."""
    created_at: float
    started_at: float | None
    finished_at: float | None
    updated_at: float
    step: int | None
    total_steps: int | None
    estimated_finish: float | None
    """When it is likely to be done; null when that is not known, or it has ended."""
    metric: Literal["reward", "loss"]
    """What the following numbers are."""
    newest: float | None
    """Of the newest training step."""
    validation: JobValidation
    trend: JobTrend
    error: str | None
    """The first line of what it failed for."""


CardRow: TypeAlias = Row[Any]

METHOD = Job.spec["method"].as_string()


def select_cards() -> Select[Any]:
    """The columns that `card_of` needs."""
    return select(
        Job.id,
        Job.project_id,
        Job.name,
        Job.state,
        METHOD.label("method"),
        Job.model,
        Job.spec["base_model"].as_string().label("base_model"),
        Job.dialect,
        Job.created_at,
        Job.started_at,
        Job.finished_at,
        Job.updated_at,
        Job.progress,
        Job.error,
    )


def cards_by_id(session: Session, ids: Iterable[str]) -> list[tuple[str, JobCard]]:
    """Projects and cards of jobs, by their bare ids, in no order."""
    rows = session.execute(select_cards().where(Job.id.in_(ids)))
    return [(row.project_id, card_of(row)) for row in rows]


def card_of(row: CardRow) -> JobCard:
    """The card of a row of `select_cards`."""
    progress: dict[str, Any] = row.progress
    is_supervised = row.method == "supervised"
    return JobCard(
        id=f"ftjob-{row.id}",
        name=row.name,
        state=row.state,
        method=row.method,
        model=row.model,
        base_model=row.base_model or row.model,
        dialect=row.dialect,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        updated_at=row.updated_at,
        step=progress.get("step"),
        total_steps=progress.get("total_steps"),
        estimated_finish=None if row.state in TERMINAL else progress.get("estimated_finish"),
        metric="loss" if is_supervised else "reward",
        newest=(progress.get("train") or {}).get("loss" if is_supervised else "reward_mean"),
        validation=JobValidation(**(progress.get("validations") or {})),
        trend=JobTrend(**(progress.get("trend") or {})),
        error=_first_line(row.error),
    )


def _first_line(error: dict[str, Any] | None) -> str | None:
    lines = str((error or {}).get("message") or "").strip().splitlines()
    if not lines:
        return str(error.get("code") or "failed") if error else None
    return lines[0] if len(lines[0]) <= LONGEST_ERROR else f"{lines[0][: LONGEST_ERROR - 1]}…"
