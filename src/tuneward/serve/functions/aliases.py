"""Aliases: names for versions, which can be moved."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from tuneward.rewards.functions import FunctionNotFoundError, FunctionRevisionError, InvalidFunctionError
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.serve.functions.bodies import AliasSettings, CreateAlias, UpdateAlias
from tuneward.serve.functions.configuration import FUNCTION
from tuneward.serve.functions.paging import LARGEST_PAGE, Marker, MaxItems, page
from tuneward.serve.functions.shapes import alias_shape
from tuneward.serve.functions.words import FunctionsRoute, Name, find_whole
from tuneward.types import Json

routes = APIRouter(route_class=FunctionsRoute)

AliasName = Annotated[str, Path(max_length=128)]
Version = Annotated[str | None, Query(alias="FunctionVersion", max_length=1024)]


@routes.post(FUNCTION + "/aliases", status_code=201)
def create_alias(name: Name, body: CreateAlias, services: Use, caller: Developer) -> dict[str, Json]:
    """CreateAlias."""
    registry = services.functions(caller.project_id, caller.account_id)
    function = find_whole(registry, name)
    _refuse_weights(body)
    made = registry.set_alias(function, body.name, body.function_version, body.description or "", is_new=True)
    return alias_shape(registry.get(function), made)


@routes.get(FUNCTION + "/aliases")
def list_aliases(
    name: Name,
    services: Use,
    caller: Viewer,
    marker: Marker = None,
    most: MaxItems = LARGEST_PAGE,
    version: Version = None,
) -> dict[str, Json]:
    """ListAliases."""
    registry = services.functions(caller.project_id, caller.account_id)
    function = find_whole(registry, name)
    aliases = [alias for alias in registry.aliases(function) if version in (None, alias.version)]
    shown, more = page(aliases, lambda alias: (alias.name, 0), marker, most)
    latest = registry.get(function)
    return {"Aliases": [alias_shape(latest, alias) for alias in shown], **more}


@routes.get(FUNCTION + "/aliases/{alias:label}")
def get_alias(name: Name, alias: AliasName, services: Use, caller: Viewer) -> dict[str, Json]:
    """GetAlias."""
    registry = services.functions(caller.project_id, caller.account_id)
    function = find_whole(registry, name)
    return alias_shape(registry.get(function), registry.alias(function, alias))


@routes.put(FUNCTION + "/aliases/{alias:label}")
def update_alias(name: Name, alias: AliasName, body: UpdateAlias, services: Use, caller: Developer) -> dict[str, Json]:
    """UpdateAlias."""
    registry = services.functions(caller.project_id, caller.account_id)
    function = find_whole(registry, name)
    _refuse_weights(body)
    latest, old = registry.get(function), registry.alias(function, alias)
    if body.revision_id and body.revision_id != alias_shape(latest, old)["RevisionId"]:
        raise FunctionRevisionError(f"Alias {alias} was changed since; read it again.")
    version = body.function_version or old.version
    description = old.description if body.description is None else body.description
    return alias_shape(latest, registry.set_alias(function, alias, version, description, is_new=False))


@routes.delete(FUNCTION + "/aliases/{alias:label}", status_code=204)
def delete_alias(name: Name, alias: AliasName, services: Use, caller: Developer) -> Response:
    """DeleteAlias; an alias that is not there is deleted already."""
    registry = services.functions(caller.project_id, caller.account_id)
    function = find_whole(registry, name)
    registry.get(function)
    try:
        registry.delete_alias(function, alias)
    except FunctionNotFoundError:
        return Response(status_code=204)
    return Response(status_code=204)


def _refuse_weights(body: AliasSettings) -> None:
    if body.routing_config and body.routing_config.additional_version_weights:
        raise InvalidFunctionError("RoutingConfig: an alias names one version here.")
