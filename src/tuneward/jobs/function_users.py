"""Which jobs are graded by which registered functions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from tuneward.errors import GraderError
from tuneward.rewards.functions.reference import parse_reference
from tuneward.store.database import Database
from tuneward.store.tables import Job
from tuneward.types import Json

RECENT = 500
"""Newest jobs of a project that are looked through."""
SHOWN = 10
"""Jobs of one function that are named."""


@dataclass(frozen=True, slots=True)
class FunctionUser:
    """A job whose reward calls a function."""

    id: str
    name: str
    state: str
    qualifier: str | None
    """Version or alias that it names; None: `$LATEST`."""


def users_of_functions(database: Database, project_id: str, names: Collection[str]) -> dict[str, list[FunctionUser]]:
    """The newest of the project's recent jobs that use each function.

    Args:
        names: of local functions.
    """
    query = (
        select(Job.id, Job.name, Job.state, Job.spec["config"]["reward"])
        .where(Job.project_id == project_id)
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(RECENT)
    )
    users: dict[str, list[FunctionUser]] = {name: [] for name in names}
    if not users:
        return users
    for job_id, job_name, state, reward in database.read(lambda session: session.execute(query).all()):
        for name, qualifier in dict.fromkeys(_functions(reward)):
            if name in users and len(users[name]) < SHOWN:
                users[name].append(FunctionUser(job_id, job_name, state, qualifier))
    return users


def _functions(reward: Json) -> Iterator[tuple[str, str | None]]:
    """Name and qualifier of the local functions in a section `reward`."""
    if not isinstance(reward, Mapping):
        return
    if isinstance(function := reward.get("function"), str):
        try:
            found = parse_reference(function)
        except GraderError:
            return
        if found.is_local:
            yield found.name, found.qualifier
    compose = reward.get("compose")
    parts = compose.get("parts") if isinstance(compose, Mapping) else None
    for part in (reward.get("held_out"), *(parts.values() if isinstance(parts, Mapping) else ())):
        yield from _functions(part)
