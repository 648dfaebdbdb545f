"""`/api/functions`: reward functions for an editor. Their calls, aliases and tags are those of AWS Lambda's API."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query

from tuneward.accounts.principal import Principal
from tuneward.jobs.function_users import FunctionUser, users_of_functions
from tuneward.rewards.functions import FunctionConfiguration, FunctionNotFoundError, FunctionRegistry
from tuneward.rewards.functions.calls import recent_calls
from tuneward.rewards.functions.editing import code_files, edit, new_function, restore
from tuneward.rewards.functions.reference import LATEST, check_name
from tuneward.rewards.sandbox.probe import isolation_problem
from tuneward.serve.api.function_bodies import (
    FunctionCall,
    FunctionCallList,
    FunctionCard,
    FunctionCode,
    FunctionFile,
    FunctionList,
    FunctionVersion,
    FunctionVersionList,
    NewCode,
    NewFunction,
    UsedBy,
)
from tuneward.serve.api.function_faults import FunctionRoute
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.serve.services import Services

routes = APIRouter(prefix="/api", route_class=FunctionRoute)

Name = Annotated[str, Path(max_length=64, description="Of the function, without a version.")]


@routes.get("/functions")
def list_functions(
    services: Use,
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
    after: Annotated[str | None, Query(max_length=64, description="Name of the last one of the page before.")] = None,
    search: Annotated[str | None, Query(max_length=64, description="Part of a name.")] = None,
) -> FunctionList:
    """The project's reward functions."""
    registry = _registry(services, caller)
    wanted = (search or "").casefold()
    names = [name for name in registry.names() if wanted in name.casefold() and (after is None or name > after)]
    shown = names[:limit]
    users = users_of_functions(services.database, caller.project_id, shown)
    cards = []
    for name in shown:
        with suppress(FunctionNotFoundError):  # deleted meanwhile
            cards.append(_card(registry, name, users[name]))
    return FunctionList(data=cards, has_more=len(names) > limit)


@routes.post("/functions", status_code=201)
def add_function(new: NewFunction, services: Use, caller: Developer) -> FunctionCard:
    """Register a function from its source."""
    registry = _registry(services, caller)
    new_function(registry, new.name, new.files, handler=new.handler, description=new.description)
    if new.publish:
        registry.publish(new.name)
    return _card(registry, new.name, [])


@routes.get("/functions/{name}")
def get_function(name: Name, services: Use, caller: Viewer) -> FunctionCard:
    """One function."""
    registry = _registry(services, caller)
    check_name(name)
    return _card(registry, name, users_of_functions(services.database, caller.project_id, [name])[name])


@routes.get("/functions/{name}/code")
def get_code(
    name: Name,
    services: Use,
    caller: Viewer,
    version: Annotated[str, Query(max_length=128, description="Number, alias or `$LATEST`.")] = LATEST,
) -> FunctionCode:
    """The source of a version."""
    registry = _registry(services, caller)
    check_name(name)
    return _code(registry, registry.get(f"{name}:{version}"))


@routes.put("/functions/{name}/code")
def put_code(name: Name, new: NewCode, services: Use, caller: Developer) -> FunctionVersion:
    """Change the code of a function, and publish it; the answer is the version that a job may name.

    Where nothing was changed since the newest version, that one is answered.
    """
    registry = _registry(services, caller)
    check_name(name)
    if new.files is not None:
        made = edit(registry, name, new.files, revision=new.revision)
    else:
        assert new.from_version is not None
        made = restore(registry, name, new.from_version, revision=new.revision)
    if new.publish:
        made = registry.publish(name, new.description)
    return _version(registry, made)


@routes.get("/functions/{name}/versions")
def list_versions(
    name: Name,
    services: Use,
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    after: Annotated[str | None, Query(max_length=64, description="Last version of the page before.")] = None,
) -> FunctionVersionList:
    """Its versions."""
    registry = _registry(services, caller)
    latest, *published = registry.versions(name)
    all_versions = [latest, *reversed(published)]
    if after is not None:
        place = next((number for number, one in enumerate(all_versions) if one.version == after), len(all_versions))
        all_versions = all_versions[place + 1 :]
    shown = [_version(registry, one) for one in all_versions[:limit]]
    return FunctionVersionList(data=shown, has_more=len(all_versions) > limit)


@routes.get("/functions/{name}/logs")
def list_calls(
    name: Name,
    services: Use,
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[str | None, Query(max_length=64, description="Last request id of the page before.")] = None,
) -> FunctionCallList:
    """Recent calls by jobs, tests and callers of the API, as far as the log of a mebibyte or two has them."""
    calls, has_more = recent_calls(_registry(services, caller).log(name), limit, before=before)
    return FunctionCallList(data=[FunctionCall.model_validate(asdict(call)) for call in calls], has_more=has_more)


def _registry(services: Services, caller: Principal) -> FunctionRegistry:
    return services.functions(caller.project_id, caller.account_id)


def _card(registry: FunctionRegistry, name: str, users: list[FunctionUser]) -> FunctionCard:
    latest, *published = registry.versions(name)
    newest = published[-1] if published else None
    return FunctionCard(
        name=name,
        arn=latest.arn,
        description=latest.description,
        handler=latest.handler,
        timeout_s=latest.timeout_s,
        memory_mb=latest.memory_mb,
        last_modified=latest.last_modified,
        versions=len(published),
        newest_version=newest and newest.version,
        is_published=newest is not None
        and (newest.code_sha256, newest.handler) == (latest.code_sha256, latest.handler),
        reserved_concurrency=registry.attributes(name).reserved_concurrency,
        used_by=[UsedBy.model_validate(asdict(user)) for user in users],
        problem=isolation_problem(name) or None,
    )


def _version(registry: FunctionRegistry, one: FunctionConfiguration) -> FunctionVersion:
    return FunctionVersion(
        version=one.version,
        description=one.description,
        last_modified=one.last_modified,
        code_sha256=one.code_sha256,
        code_bytes=one.code_bytes,
        handler=one.handler,
        aliases=[alias.name for alias in registry.aliases(one.name) if alias.version == one.version],
    )


def _code(registry: FunctionRegistry, one: FunctionConfiguration) -> FunctionCode:
    try:
        archive = registry.code(f"{one.name}:{one.version}")
    except FileNotFoundError:
        raise FunctionNotFoundError(f"The code of {one.name}:{one.version} was replaced meanwhile.") from None
    return FunctionCode(
        name=one.name,
        version=one.version,
        handler=one.handler,
        description=one.description,
        revision=one.revision_id,
        files=[FunctionFile.model_validate(asdict(file)) for file in code_files(archive)],
    )
