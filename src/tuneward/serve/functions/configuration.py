"""CreateFunction, GetFunction, ListFunctions, DeleteFunction and the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from tuneward.rewards.functions import FunctionConfiguration, FunctionRegistry, InvalidFunctionError
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.serve.functions.attributes import check_tags
from tuneward.serve.functions.bodies import CreateFunction, UpdateConfiguration
from tuneward.serve.functions.code import archive_of
from tuneward.serve.functions.downloads import signed_url
from tuneward.serve.functions.paging import LARGEST_PAGE, Marker, MaxItems, page
from tuneward.serve.functions.shapes import configuration_shape
from tuneward.serve.functions.words import FunctionsRoute, Name, Qualifier, find, find_whole
from tuneward.types import Json

routes = APIRouter(route_class=FunctionsRoute)

FUNCTIONS = "/2015-03-31/functions"
FUNCTION = FUNCTIONS + "/{name:label}"

TRAILING = FUNCTIONS + "/"
"""As older clients write the path of the list."""


@routes.post(FUNCTIONS, status_code=201)
@routes.post(TRAILING, status_code=201, include_in_schema=False)
def create_function(body: CreateFunction, services: Use, caller: Developer) -> dict[str, Json]:
    """CreateFunction."""
    registry = services.functions(caller.project_id, caller.account_id)
    if body.package_type != "Zip":
        raise InvalidFunctionError(f"PackageType {body.package_type[:20]}: only Zip can be run here.")
    if body.handler is None:
        raise InvalidFunctionError("Handler is missing: MODULE.FUNCTION, such as lambda_function.lambda_handler.")
    check_tags(body.tags)
    name = find_whole(registry, body.function_name)
    made = registry.create(name, archive_of(body.code, services), handler=body.handler, tags=body.tags, **body.given())
    return configuration_shape(registry.publish(name) if body.publish else made)


@routes.get(FUNCTIONS)
@routes.get(TRAILING, include_in_schema=False)
def list_functions(
    services: Use,
    caller: Viewer,
    marker: Marker = None,
    most: MaxItems = LARGEST_PAGE,
    version: Annotated[Literal["ALL"] | None, Query(alias="FunctionVersion")] = None,
) -> dict[str, Json]:
    """ListFunctions."""
    registry = services.functions(caller.project_id, caller.account_id)
    functions = registry.functions()
    if version == "ALL":
        functions = [one for function in functions for one in registry.versions(function.name)]
    shown, more = page(functions, by_version, marker, most)
    return {"Functions": [configuration_shape(one) for one in shown], **more}


@routes.get(FUNCTION)
def get_function(
    name: Name, services: Use, caller: Viewer, request: Request, qualifier: Qualifier = None
) -> dict[str, Json]:
    """GetFunction."""
    registry = services.functions(caller.project_id, caller.account_id)
    found, shape = _read(registry, name, qualifier)
    attributes = registry.attributes(found.name)
    answer: dict[str, Json] = {
        "Configuration": shape,
        "Code": {"RepositoryType": "S3", "Location": signed_url(request, services, caller, found)},
    }
    if attributes.tags:
        answer["Tags"] = dict(attributes.tags)
    if attributes.reserved_concurrency is not None:
        answer["Concurrency"] = {"ReservedConcurrentExecutions": attributes.reserved_concurrency}
    return answer


@routes.get(FUNCTION + "/configuration")
def get_configuration(name: Name, services: Use, caller: Viewer, qualifier: Qualifier = None) -> dict[str, Json]:
    """GetFunctionConfiguration."""
    return _read(services.functions(caller.project_id, caller.account_id), name, qualifier)[1]


@routes.put(FUNCTION + "/configuration")
def update_configuration(name: Name, body: UpdateConfiguration, services: Use, caller: Developer) -> dict[str, Json]:
    """UpdateFunctionConfiguration."""
    registry = services.functions(caller.project_id, caller.account_id)
    updated = registry.update(
        find_whole(registry, name), handler=body.handler, revision=body.revision_id, **body.given()
    )
    return configuration_shape(updated)


@routes.delete(FUNCTION, status_code=204)
def delete_function(name: Name, services: Use, caller: Developer, qualifier: Qualifier = None) -> Response:
    """DeleteFunction: the whole function, or one version of it."""
    registry = services.functions(caller.project_id, caller.account_id)
    found = find(registry, name, qualifier)
    registry.delete(found.name, found.qualifier)
    return Response(status_code=204)


def _read(
    registry: FunctionRegistry, name: str, qualifier: str | None
) -> tuple[FunctionConfiguration, dict[str, Json]]:
    found = find(registry, name, qualifier)
    configuration = registry.get(str(found))
    return configuration, configuration_shape(configuration, found.qualifier)


def by_version(configuration: FunctionConfiguration) -> tuple[str, int]:
    """Order of lists: by name, `$LATEST` first, then by number."""
    return configuration.name, int(configuration.version) if configuration.version.isdigit() else 0
