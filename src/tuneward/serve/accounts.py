"""`/api/keys` and `/api/projects`: who may call this server. Source of the routes: docs/security.md."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from tuneward.accounts.keys import (
    IssuedKey,
    KeyInfo,
    create_access_key,
    create_key,
    list_keys,
    revoke_key,
)
from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.accounts.problems import AccountError, UnknownAccountError
from tuneward.accounts.projects import create_project, list_projects
from tuneward.accounts.vault import open_vault
from tuneward.jobs.problems import ForbiddenError, InvalidRequestError, ObjectNotFoundError
from tuneward.serve.api.model import ApiModel
from tuneward.serve.deps import Admin, Use
from tuneward.store.tables import Project

routes = APIRouter(prefix="/api")

T = TypeVar("T")

LONGEST_LIFE_S = 100 * 365 * 24 * 3600


class NewKey(ApiModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=100)]
    role: Literal["viewer", "developer", "admin"] = "developer"
    kind: Literal["api", "access"] = "api"
    """`access`: for signed requests, as boto3 sends them."""
    project: str | None = None
    """Id; None: the caller's own. Only administrators of the default project may name another."""
    expires_in_s: Annotated[int, Field(ge=1, le=LONGEST_LIFE_S)] | None = None
    """Of API keys; None: never."""


class Key(ApiModel):
    """What is told of a key."""

    id: str
    kind: Literal["api", "access"]
    project_id: str
    name: str
    role: str
    hint: str
    created_at: float
    expires_at: float | None
    last_used_at: float | None
    revoked_at: float | None


class KeyWithSecret(Key):
    """A new key; `secret` is not shown again."""

    secret: str


class KeyList(ApiModel):
    """Keys, oldest first."""

    data: list[Key]


class NewProject(ApiModel):
    """A project to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=100)]


class ProjectCard(ApiModel):
    """A project."""

    id: str
    name: str
    account_id: str
    """Stands in ARNs."""
    created_at: float


class ProjectList(ApiModel):
    """Projects, oldest first."""

    data: list[ProjectCard]


@routes.post("/keys")
def add_key(new: NewKey, principal: Admin, services: Use) -> KeyWithSecret:
    project_id = new.project or principal.project_id
    if not _rules(principal, project_id):
        raise ObjectNotFoundError(f'There is no project "{project_id[:40]}".', param="project")
    return _answer(lambda: _with_secret(_made(new, project_id, services)))


@routes.get("/keys")
def all_keys(principal: Admin, services: Use) -> KeyList:
    """The project's keys; of the default project's administrators, all keys."""
    found = list_keys(services.database, None if _is_head(principal) else principal.project_id)
    return KeyList(data=[_told(info) for info in found])


@routes.delete("/keys/{key_id}")
def remove_key(key_id: str, principal: Admin, services: Use) -> Key:
    """Revoke it. It is refused two seconds later at the latest."""
    whose = None if _is_head(principal) else principal.project_id
    return _answer(lambda: _told(revoke_key(services.database, key_id, whose)))


@routes.post("/projects")
def add_project(new: NewProject, principal: Admin, services: Use) -> ProjectCard:
    _must_be_head(principal)
    return _answer(lambda: _card(create_project(services.database, new.name)))


@routes.get("/projects")
def all_projects(principal: Admin, services: Use) -> ProjectList:
    _must_be_head(principal)
    return ProjectList(data=[_card(project) for project in list_projects(services.database)])


def _made(new: NewKey, project_id: str, services: Use) -> IssuedKey:
    if new.kind == "api":
        expires_at = None if new.expires_in_s is None else time.time() + new.expires_in_s
        return create_key(services.database, project_id, new.name, new.role, expires_at=expires_at)
    if new.expires_in_s is not None:
        raise InvalidRequestError("Access keys do not expire; revoke them instead.", param="expires_in_s")
    return create_access_key(services.database, open_vault(services.home), project_id, new.name, new.role)


def _is_head(principal: Principal) -> bool:
    """Whether a caller, who is an administrator, is one of the whole server."""
    return principal.project_id == DEFAULT_PROJECT


def _rules(principal: Principal, project_id: str) -> bool:
    return _is_head(principal) or project_id == principal.project_id


def _must_be_head(principal: Principal) -> None:
    if not _is_head(principal):
        raise ForbiddenError("Only administrators of the default project manage projects.", code="insufficient_role")


def _answer(work: Callable[[], T]) -> T:
    try:
        return work()
    except UnknownAccountError as error:
        raise ObjectNotFoundError(str(error)) from None
    except AccountError as error:
        raise InvalidRequestError(str(error), code="invalid_value") from None


def _told(info: KeyInfo) -> Key:
    return Key.model_validate(asdict(info))


def _with_secret(issued: IssuedKey) -> KeyWithSecret:
    return KeyWithSecret.model_validate({**asdict(issued.info), "secret": issued.secret})


def _card(project: Project) -> ProjectCard:
    return ProjectCard.model_validate(project, from_attributes=True)
