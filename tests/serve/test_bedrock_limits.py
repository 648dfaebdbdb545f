"""Every limit of the service's model, as botocore carries it, is held here: clients check only some of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.model import Shape
from botocore.session import get_session
from tests.serve.bedrock_rows import REMOTE_LAMBDA, ROLE, bedrock_client, reinforcement_job
from tests.service import app_with

from tuneward.serve.server import Server, bind

MODEL_ARN = "arn:aws:bedrock:us-east-1:000000000000:custom-model/tuneward.smollm2-135m/abcdefghijkl"
FOUNDATION_ARN = "arn:aws:bedrock:us-east-1::foundation-model/tuneward.smollm2-135m"
LOGGING = {"loggingConfig": {"s3Config": {"bucketName": "logs"}}}
TAG = {"key": "k", "value": "v"}

REQUESTS: dict[str, dict[str, Any]] = {
    "CreateModelCustomizationJob": reinforcement_job("limits"),
    "GetModelCustomizationJob": {"jobIdentifier": "limits"},
    "StopModelCustomizationJob": {"jobIdentifier": "limits"},
    "ListModelCustomizationJobs": {},
    "GetCustomModel": {"modelIdentifier": "limits"},
    "DeleteCustomModel": {"modelIdentifier": "limits"},
    "ListCustomModels": {},
    "CreateCustomModelDeployment": {"modelDeploymentName": "limits", "modelArn": MODEL_ARN},
    "GetCustomModelDeployment": {"customModelDeploymentIdentifier": "limits"},
    "UpdateCustomModelDeployment": {"customModelDeploymentIdentifier": "limits", "modelArn": MODEL_ARN},
    "DeleteCustomModelDeployment": {"customModelDeploymentIdentifier": "limits"},
    "ListCustomModelDeployments": {},
    "GetFoundationModel": {"modelIdentifier": "smollm2-135m"},
    "ListFoundationModels": {},
    "TagResource": {"resourceARN": MODEL_ARN, "tags": [TAG]},
    "UntagResource": {"resourceARN": MODEL_ARN, "tagKeys": ["k"]},
    "ListTagsForResource": {"resourceARN": MODEL_ARN},
    "PutModelInvocationLoggingConfiguration": LOGGING,
}
"""A request of each operation that breaks no limit."""

EXAMPLES = {
    "S3Uri": "s3://bucket/key",
    "RoleArn": ROLE,
    "LambdaArn": REMOTE_LAMBDA,
    "BucketName": "bucket",
    "TaggableResourcesArn": MODEL_ARN,
    "CustomModelArn": MODEL_ARN,
    "FoundationModelArn": FOUNDATION_ARN,
}
NOT_OFFERED = ("distillationConfig",)
"""Members that are refused whatever they hold."""


def least(shape: Shape) -> Any:
    """The smallest value that a shape allows."""
    if shape.type_name == "structure":
        members = {name: least(member) for name, member in shape.members.items() if name in shape.required_members}
        if shape.metadata.get("union"):
            name = next(name for name in shape.members if name not in NOT_OFFERED)
            members = {name: least(shape.members[name])}
        return members
    if shape.type_name == "list":
        return [least(shape.member)] * shape.metadata.get("min", 0)
    if shape.type_name == "map":
        return {f"k{number}": least(shape.value) for number in range(shape.metadata.get("min", 0))}
    if shape.type_name == "string":
        return EXAMPLES.get(shape.name) or (shape.enum or ["a" * max(1, shape.metadata.get("min", 0))])[0]
    return {"boolean": True, "integer": max(1, shape.metadata.get("min", 1)), "float": 1e-4}[shape.type_name]


def faults(shape: Shape) -> Iterator[tuple[str, Any]]:
    """What a shape does not allow: (what is wrong, a value)."""
    limits = shape.metadata
    if shape.type_name == "structure":
        for name in shape.required_members:
            yield f"{name} missing", {k: v for k, v in least(shape).items() if k != name}
        if limits.get("union"):
            yield "no member", {}
        for name, member in shape.members.items():
            rest = {} if limits.get("union") else least(shape)
            for wrong, value in faults(member) if name not in NOT_OFFERED else ():
                yield f"{name} {wrong}".strip(), {**rest, name: value}
    elif shape.type_name == "list":
        if "max" in limits:
            yield "too many", [least(shape.member)] * (limits["max"] + 1)
        if limits.get("min"):
            yield "too few", []
        yield from ((f"[] {wrong}", [value]) for wrong, value in faults(shape.member))
    elif shape.type_name == "map":
        if "max" in limits:
            yield "too many", {f"k{number}": least(shape.value) for number in range(limits["max"] + 1)}
        if limits.get("min"):
            yield "too few", {}
        yield from ((f"value {wrong}", {"k": value}) for wrong, value in faults(shape.value))
        yield from ((f"key {wrong}", {value: least(shape.value)}) for wrong, value in faults(shape.key) if value)
    elif shape.type_name == "string":
        if "max" in limits:
            example = least(shape)
            yield "too long", example + example[-1] * (limits["max"] + 1 - len(example))
        if limits.get("min"):
            yield "too short", "a" * (limits["min"] - 1)
        if "pattern" in limits and limits["pattern"] not in (".*", r"\S*"):
            yield "pattern", 'é!"' * max(1, limits.get("min", 0))
        if shape.enum:
            yield "enum", "BOGUS"
    elif shape.type_name in ("integer", "float"):
        if "max" in limits:
            yield "too large", limits["max"] * 2
        if "min" in limits:
            yield "too small", limits["min"] / 2 if shape.type_name == "float" else limits["min"] - 1


def cases() -> Iterator[Any]:
    service = get_session().get_service_model("bedrock")
    for operation, request in REQUESTS.items():
        shape = service.operation_model(operation).input_shape
        for name, member in shape.members.items():
            is_in_path = member.serialization.get("location") == "uri"
            if name in shape.required_members and not is_in_path:
                yield pytest.param(operation, {k: v for k, v in request.items() if k != name}, id=f"{operation}-{name}")
            for wrong, value in faults(member):
                if value != "" or not is_in_path:  # a path without a label is another path
                    yield pytest.param(operation, {**request, name: value}, id=f"{operation}-{name} {wrong}")


@pytest.fixture(scope="module")
def unchecked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client that sends whatever it is told to."""
    app = app_with(tmp_path_factory.mktemp("home"))
    with Server(app, bind("127.0.0.1", 0)) as running:
        yield bedrock_client(running.url, is_checking=False)


def call(client: Any, operation: str, request: dict[str, Any]) -> Any:
    return client._make_api_call(operation, request)


@pytest.mark.parametrize(("operation", "request_"), cases())
def test_what_the_model_of_the_service_does_not_allow_is_refused(
    unchecked: Any, operation: str, request_: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as caught:
        call(unchecked, operation, request_)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert "failed to satisfy constraint" in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize("operation", [name for name in REQUESTS if not name.startswith("Put")])
def test_requests_within_the_limits_are_not_refused_for_them(unchecked: Any, operation: str) -> None:
    with contextlib.suppress(unchecked.exceptions.ResourceNotFoundException):
        call(unchecked, operation, REQUESTS[operation])
