"""How the operations of AWS Lambda are called that this server has, and where they differ."""

from __future__ import annotations

import json
from typing import Any

from scripts.compatibility.outcome import Recipe
from scripts.compatibility.world import World, new_function
from tests.rewards.functions.archives import scoring

_EVENT = json.dumps([{"id": "s-1", "messages": [{"role": "assistant", "content": "It is 42."}]}]).encode()


def _function(world: World) -> dict[str, Any]:
    return {"FunctionName": world.function()}


def _versioned(world: World) -> dict[str, Any]:
    return {"FunctionName": world.function(version=True)}


def _new_alias(world: World) -> dict[str, Any]:
    return _versioned(world) | {"Name": "prod", "FunctionVersion": "1"}


def _alias(world: World) -> dict[str, Any]:
    alias = _new_alias(world)
    world.aws["lambda"].create_alias(**alias)
    return {"FunctionName": alias["FunctionName"], "Name": "prod"}


def _arn(world: World) -> dict[str, Any]:
    return {"Resource": world.aws["lambda"].get_function_configuration(**_function(world))["FunctionArn"]}


def _new_permission(world: World) -> dict[str, Any]:
    allowed = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "bedrock.amazonaws.com"}
    return _function(world) | allowed


def _permitted(world: World) -> dict[str, Any]:
    permission = _new_permission(world)
    world.aws["lambda"].add_permission(**permission)
    return {"FunctionName": permission["FunctionName"]}


def _limited(world: World) -> dict[str, Any]:
    function = _function(world)
    world.aws["lambda"].put_function_concurrency(**function, ReservedConcurrentExecutions=2)
    return function


_KEPT = "kept and read back, nothing more"

LAMBDA = {
    "AddPermission": Recipe(_new_permission, _KEPT),
    "CreateAlias": Recipe(_new_alias, "one version for an alias"),
    "CreateFunction": Recipe(
        lambda world: new_function(world.name("scorer")), "Python, as zip; [what differs](functions.md)"
    ),
    "DeleteAlias": Recipe(_alias),
    "DeleteFunction": Recipe(_function),
    "DeleteFunctionConcurrency": Recipe(_limited),
    "GetAlias": Recipe(_alias),
    "GetFunction": Recipe(_function),
    "GetFunctionConcurrency": Recipe(_limited),
    "GetFunctionConfiguration": Recipe(_function),
    "GetPolicy": Recipe(_permitted, _KEPT),
    "Invoke": Recipe(
        lambda world: _function(world) | {"Payload": _EVENT}, "in a sandbox without network; an `Event` runs once"
    ),
    "ListAliases": Recipe(lambda world: {"FunctionName": _alias(world)["FunctionName"]}),
    "ListFunctions": Recipe(lambda world: {"MaxItems": len(_function(world))}),
    "ListTags": Recipe(_arn),
    "ListVersionsByFunction": Recipe(_versioned),
    "PublishVersion": Recipe(_function),
    "PutFunctionConcurrency": Recipe(
        lambda world: _function(world) | {"ReservedConcurrentExecutions": 2},
        "at most so many processes; further calls wait",
    ),
    "RemovePermission": Recipe(lambda world: _permitted(world) | {"StatementId": "s"}, _KEPT),
    "TagResource": Recipe(lambda world: _arn(world) | {"Tags": {"team": "a"}}),
    "UntagResource": Recipe(lambda world: _arn(world) | {"TagKeys": ["team"]}),
    "UpdateAlias": Recipe(lambda world: _alias(world) | {"Description": "of the week"}),
    "UpdateFunctionCode": Recipe(lambda world: _function(world) | {"ZipFile": scoring(1.0)}),
    "UpdateFunctionConfiguration": Recipe(lambda world: _function(world) | {"Timeout": 30}),
}
"""By operation."""
