"""Tags, and how many calls of a function run at the same time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from tuneward.rewards.functions import Attributes, FunctionRegistry, InvalidFunctionError
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.serve.functions.bodies import Concurrency, TagResource
from tuneward.serve.functions.words import FunctionsRoute, Name, find_whole
from tuneward.types import Json

routes = APIRouter(route_class=FunctionsRoute)

TAGS = "/2017-03-31/tags/{arn:label}"
CONCURRENCY = "/functions/{name:label}/concurrency"
MAX_TAGS, MAX_KEY, MAX_VALUE = 50, 128, 256

Arn = Annotated[str, Path(max_length=1024)]


@routes.post(TAGS, status_code=204)
def tag_resource(arn: Arn, body: TagResource, services: Use, caller: Developer) -> Response:
    """TagResource."""
    registry = services.functions(caller.project_id, caller.account_id)
    check_tags(body.tags)

    def change(attributes: Attributes) -> None:
        attributes.tags |= body.tags
        check_tags(attributes.tags)

    registry.change_attributes(_tagged(registry, arn), change)
    return Response(status_code=204)


@routes.delete(TAGS, status_code=204)
def untag_resource(
    arn: Arn, keys: Annotated[list[str], Query(alias="tagKeys", max_length=MAX_TAGS)], services: Use, caller: Developer
) -> Response:
    """UntagResource."""
    registry = services.functions(caller.project_id, caller.account_id)

    def change(attributes: Attributes) -> None:
        attributes.tags = {key: value for key, value in attributes.tags.items() if key not in keys}

    registry.change_attributes(_tagged(registry, arn), change)
    return Response(status_code=204)


@routes.get(TAGS)
def list_tags(arn: Arn, services: Use, caller: Viewer) -> dict[str, Json]:
    """ListTags."""
    registry = services.functions(caller.project_id, caller.account_id)
    return {"Tags": dict(registry.attributes(_tagged(registry, arn)).tags)}


@routes.put("/2017-10-31" + CONCURRENCY)
def put_concurrency(name: Name, body: Concurrency, services: Use, caller: Developer) -> dict[str, Json]:
    """PutFunctionConcurrency: processes of the function, at most; 0 refuses calls."""
    _reserve(services.functions(caller.project_id, caller.account_id), name, body.reserved_concurrent_executions)
    return {"ReservedConcurrentExecutions": body.reserved_concurrent_executions}


@routes.get("/2019-09-30" + CONCURRENCY)
def get_concurrency(name: Name, services: Use, caller: Viewer) -> dict[str, Json]:
    """GetFunctionConcurrency; empty when none is reserved."""
    registry = services.functions(caller.project_id, caller.account_id)
    reserved = registry.attributes(find_whole(registry, name)).reserved_concurrency
    return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}


@routes.delete("/2017-10-31" + CONCURRENCY, status_code=204)
def delete_concurrency(name: Name, services: Use, caller: Developer) -> Response:
    """DeleteFunctionConcurrency."""
    _reserve(services.functions(caller.project_id, caller.account_id), name, None)
    return Response(status_code=204)


def check_tags(tags: dict[str, str]) -> None:
    """Raises InvalidFunctionError for more or longer tags than AWS takes."""
    if len(tags) > MAX_TAGS:
        raise InvalidFunctionError(f"{len(tags)} tags; at most {MAX_TAGS} are allowed.")
    for key, value in tags.items():
        if not 0 < len(key) <= MAX_KEY or len(value) > MAX_VALUE or key.lower().startswith("aws:"):
            raise InvalidFunctionError(
                f'Tag "{key[:MAX_KEY]}": a key has 1 to {MAX_KEY} characters and does not begin with aws:, a value has '
                f"at most {MAX_VALUE}."
            )


def _tagged(registry: FunctionRegistry, arn: str) -> str:
    if not arn.startswith("arn:"):
        raise InvalidFunctionError("Tags belong to an ARN, arn:aws:lambda:REGION:ACCOUNT:function:NAME.")
    return find_whole(registry, arn)


def _reserve(registry: FunctionRegistry, name: str, reserved: int | None) -> None:
    def change(attributes: Attributes) -> None:
        attributes.reserved_concurrency = reserved

    registry.change_attributes(find_whole(registry, name), change)
