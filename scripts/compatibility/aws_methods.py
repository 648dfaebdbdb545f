"""Every operation of AWS's clients: found in the service's model, called, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from botocore.validate import ParamValidator
from scripts.compatibility.aws_recipes import RECIPES
from scripts.compatibility.outcome import Outcome, Recipe, refusal
from scripts.compatibility.world import World

SERVICES = ("bedrock", "bedrock-runtime", "lambda")


def names(client: Any) -> list[str]:
    """All operations that the client can call, such as `CreateGuardrail`."""
    operations: list[str] = client.meta.service_model.operation_names
    return [name for name in operations if hasattr(client, xform_name(name))]


def call_all(world: World, service: str, chosen: Callable[[str], bool]) -> Iterator[Outcome]:
    """Call the operations of a service that are chosen by name."""
    client = world.aws[service]
    for name in names(client):
        if chosen(name):
            yield _outcome(world, client, client.meta.service_model.operation_model(name), RECIPES[service].get(name))


def _outcome(world: World, client: Any, operation: OperationModel, recipe: Recipe | None) -> Outcome:
    name = operation.name
    try:
        arguments = recipe.arguments(world) if recipe else _least(operation.input_shape)
        answer = getattr(client, xform_name(name))(**arguments)
        _check(answer, operation)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return refusal(name, status, error.response["Error"]["Message"], is_supported=recipe is not None)
    except Exception as error:  # whatever else a client says of an answer is the finding
        return Outcome(name, "broken", f"{type(error).__name__}: {error}")
    if recipe is None:
        return Outcome(name, "broken", "works, but has no recipe that says how it is to be called")
    return Outcome(name, "works", recipe.note)


def _check(answer: dict[str, Any], operation: OperationModel) -> None:
    """Read an answer to its end and compare it with the service's model."""
    del answer["ResponseMetadata"]
    shape = operation.output_shape
    if missing := set(shape.required_members if shape else ()) - set(answer):
        raise ValueError(f"{missing} is missing")
    events = operation.get_event_stream_output()
    for name, value in answer.items():
        if hasattr(value, "close"):  # bytes or events as they come
            value = value.read() if hasattr(value, "read") else list(value)
            if not value:
                raise ValueError(f"{name} is empty")
        expected = shape.members[name]
        is_none_of_them = value == []  # some models say that a list has at least one
        report = ParamValidator().validate(value[0] if expected is events else value, expected)
        if report.has_errors() and not is_none_of_them:
            raise ValueError(f"{name}: {report.generate_report()}")


def _least(shape: Any) -> Any:
    """Something for every member that a shape must have."""
    if shape is None:
        return {}
    match shape.type_name:
        case "structure":
            return {name: _least(shape.members[name]) for name in shape.required_members}
        case "list":
            return [_least(shape.member)] if shape.metadata.get("min") else []
        case "map":
            return {}
        case "integer" | "long" | "float" | "double":
            return 1
        case "boolean":
            return True
        case "timestamp":
            return 0
        case "blob":
            return b"x"
    return shape.enum[0] if shape.enum else "x"
