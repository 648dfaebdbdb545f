"""How AWS's operations are called that this server has, and where they differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from scripts.compatibility.lambda_recipes import LAMBDA
from scripts.compatibility.outcome import Recipe
from scripts.compatibility.world import MODEL, World
from tests.serve.bedrock import said
from tests.serve.bedrock_rows import reinforcement_job

EMPTY = Recipe(lambda _: {}, "always empty")
_JOBS = "[what differs](coming-from-bedrock.md#how-it-behaves)"
_ALIASED = "also under aliases of the configuration"
_LOGS: dict[str, Any] = {"loggingConfig": {"s3Config": {"bucketName": "logs"}, "textDataDeliveryEnabled": True}}
_CONVERSE: dict[str, Any] = {"modelId": MODEL, "messages": [said("Hello")], "inferenceConfig": {"maxTokens": 4}}
_INVOKE: dict[str, Any] = {
    "modelId": MODEL,
    "body": json.dumps({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}),
}


def _deployed(world: World) -> dict[str, Any]:
    return {"customModelDeploymentIdentifier": world.deployment()}


def _logging(world: World) -> dict[str, Any]:
    world.aws["bedrock"].put_model_invocation_logging_configuration(**_LOGS)
    return {}


def _listing(make: Callable[[World], object]) -> Callable[[World], dict[str, Any]]:
    """All there is, and there is something."""

    def arguments(world: World) -> dict[str, Any]:
        make(world)
        return {}

    return arguments


BEDROCK = {
    "CreateCustomModelDeployment": Recipe(
        lambda world: {"modelDeploymentName": world.name("deployment"), "modelArn": world.custom_model()}
    ),
    "CreateModelCustomizationJob": Recipe(
        lambda world: reinforcement_job(world.name("job")),
        "`REINFORCEMENT_FINE_TUNING` and `FINE_TUNING`; " + _JOBS,
    ),
    "DeleteCustomModel": Recipe(lambda world: {"modelIdentifier": world.custom_model()}),
    "DeleteCustomModelDeployment": Recipe(_deployed),
    "DeleteModelInvocationLoggingConfiguration": Recipe(_logging),
    "GetCustomModel": Recipe(lambda world: {"modelIdentifier": world.custom_model()}),
    "GetCustomModelDeployment": Recipe(_deployed),
    "GetFoundationModel": Recipe(lambda _: {"modelIdentifier": MODEL}, _ALIASED),
    "GetModelCustomizationJob": Recipe(lambda world: {"jobIdentifier": world.finished_job().id}),
    "GetModelInvocationLoggingConfiguration": Recipe(_logging),
    "ListCustomModelDeployments": Recipe(_listing(World.deployment)),
    "ListCustomModels": Recipe(_listing(World.custom_model)),
    "ListEvaluationJobs": EMPTY,
    "ListFoundationModels": Recipe(lambda _: {}, _ALIASED),
    "ListImportedModels": EMPTY,
    "ListInferenceProfiles": EMPTY,
    "ListModelCopyJobs": EMPTY,
    "ListModelCustomizationJobs": Recipe(_listing(World.finished_job), "jobs of OpenAI's API too"),
    "ListModelImportJobs": EMPTY,
    "ListProvisionedModelThroughputs": EMPTY,
    "ListTagsForResource": Recipe(lambda world: {"resourceARN": world.customization_job()}),
    "PutModelInvocationLoggingConfiguration": Recipe(lambda _: _LOGS, "S3 only"),
    "StopModelCustomizationJob": Recipe(
        lambda world: {"jobIdentifier": world.customization_job()}, "keeps what was learned"
    ),
    "TagResource": Recipe(
        lambda world: {"resourceARN": world.customization_job(), "tags": [{"key": "team", "value": "a"}]}
    ),
    "UntagResource": Recipe(lambda world: {"resourceARN": world.customization_job(), "tagKeys": ["team"]}),
    "UpdateCustomModelDeployment": Recipe(lambda world: _deployed(world) | {"modelArn": world.custom_model()}),
}
RUNTIME = {
    "Converse": Recipe(lambda _: _CONVERSE, "[members](bedrock-runtime.md)"),
    "ConverseStream": Recipe(lambda _: _CONVERSE),
    "CountTokens": Recipe(lambda _: {"modelId": MODEL, "input": {"converse": {"messages": [said("Hello")]}}}),
    "InvokeModel": Recipe(lambda _: _INVOKE, "[bodies](bedrock-runtime.md)"),
    "InvokeModelWithResponseStream": Recipe(lambda _: _INVOKE),
}
RECIPES = {"bedrock": BEDROCK, "bedrock-runtime": RUNTIME, "lambda": LAMBDA}
"""By service and operation."""
