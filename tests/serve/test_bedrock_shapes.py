"""Answers have every member that the service's model requires, with values that it allows: typed clients rely on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from botocore.model import Shape
from botocore.session import get_session
from tests.serve.bedrock_rows import add_model, bedrock_client, change_job, reinforcement_job
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.jobs.service import NewJob
from tuneward.jobs.spec import FileSource, JobSpec
from tuneward.serve.server import Server, bind
from tuneward.serve.services import Services

BEYOND = ("REINFORCEMENT_FINE_TUNING",)
"""Values that the model does not know and clients pass on."""
LENIENT = ("S3Uri",)
"""Empty for jobs that OpenAI's API made."""


def check(shape: Shape, value: Any, place: str) -> None:
    """Compare a value with its shape."""
    limits = shape.metadata
    if shape.type_name == "structure":
        assert isinstance(value, dict), place
        missing = set(shape.required_members) - set(value)
        assert not missing, f"{place} has no {missing}"
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{place} has {unknown}, which the model does not know"
        for name, member in value.items():
            check(shape.members[name], member, f"{place}.{name}")
    elif shape.type_name == "list":
        for item in value:
            check(shape.member, item, f"{place}[]")
    elif shape.type_name == "map":
        for name, item in value.items():
            check(shape.key, name, place)
            check(shape.value, item, f"{place}.{name}")
    elif shape.type_name == "timestamp":
        assert datetime.fromisoformat(value).tzinfo, place
    elif shape.type_name == "string" and shape.name not in LENIENT:
        assert isinstance(value, str), place
        if shape.enum:
            assert value in (*shape.enum, *BEYOND), place
        assert limits.get("min", 0) <= len(value) <= limits.get("max", 10_000), place
        assert re.fullmatch(limits.get("pattern", ".*"), value), f"{place} is {value}"
    elif shape.type_name in ("integer", "float"):
        assert isinstance(value, int | float), place


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a job of each kind and state, models, and deployments."""
    app = app_with(tmp_path_factory.mktemp("home"))
    with Server(app, bind("127.0.0.1", 0)) as running:
        fill(bedrock_client(running.url), app.state.services)
        yield running.url


def fill(bedrock: Any, services: Services) -> None:
    every = {
        "clientRequestToken": "token",
        "customModelKmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/" + "0" * 36,
        "vpcConfig": {"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]},
        "validationDataConfig": {"validators": [{"s3Uri": "s3://rows/validation.jsonl"}]},
        "jobTags": [{"key": "a", "value": "b"}],
    }
    bedrock.create_model_customization_job(**reinforcement_job("reinforcement", **every))
    supervised = reinforcement_job("supervised", customizationType="FINE_TUNING", customizationConfig=None)
    bedrock.create_model_customization_job(**supervised)
    caller = Principal("key_1", DEFAULT_PROJECT, "000000000000", "admin")
    spec = JobSpec(method="reinforcement", base_model="smollm2-135m", training=FileSource(file_id="file-1"))
    services.jobs.create(caller, NewJob(dialect="openai", model="smollm2-135m", spec=spec, request={}))
    job = change_job(services, "reinforcement", state="succeeded", phases={"training": {"started_at": 1.0}})
    model = add_model(services, "reinforcement-model", job=job)
    change_job(services, "reinforcement", model_id=model.id, finished_at=2.0)
    change_job(services, "supervised", state="failed", error={"message": "no rows"})
    add_model(services, "brought")
    arn = bedrock.get_custom_model(modelIdentifier="brought")["modelArn"]
    bedrock.create_custom_model_deployment(modelDeploymentName="deployed", modelArn=arn, description="d")
    bedrock.update_custom_model_deployment(customModelDeploymentIdentifier="deployed", modelArn=arn)


READS = [
    ("ListModelCustomizationJobs", {}),
    ("ListModelCustomizationJobs", {"maxResults": 1}),
    ("GetModelCustomizationJob", {"jobIdentifier": "reinforcement"}),
    ("GetModelCustomizationJob", {"jobIdentifier": "supervised"}),
    ("ListCustomModels", {}),
    ("GetCustomModel", {"modelIdentifier": "reinforcement-model"}),
    ("GetCustomModel", {"modelIdentifier": "brought"}),
    ("ListCustomModelDeployments", {}),
    ("GetCustomModelDeployment", {"customModelDeploymentIdentifier": "deployed"}),
    ("ListFoundationModels", {}),
    ("GetFoundationModel", {"modelIdentifier": "smollm2-135m"}),
    ("GetModelInvocationLoggingConfiguration", {}),
    ("ListProvisionedModelThroughputs", {}),
    ("ListEvaluationJobs", {}),
    ("ListModelImportJobs", {}),
    ("ListModelCopyJobs", {}),
    ("ListImportedModels", {}),
    ("ListInferenceProfiles", {}),
]


@pytest.mark.parametrize(("operation", "request_"), READS)
def test_an_answer_has_the_shape_of_the_model(url: str, operation: str, request_: dict[str, Any]) -> None:
    model = get_session().get_service_model("bedrock").operation_model(operation)
    path, query = model.http["requestUri"], dict(request_)
    for name in list(query):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", query.pop(name))
    answer = httpx.get(url + path, params=query)
    assert answer.status_code == 200
    check(model.output_shape, answer.json(), operation)


def test_the_job_of_openais_api_has_it_too(url: str) -> None:
    output = get_session().get_service_model("bedrock").operation_model("GetModelCustomizationJob").output_shape
    names = [
        job["jobName"] for job in bedrock_client(url).list_model_customization_jobs()["modelCustomizationJobSummaries"]
    ]
    name = next(name for name in names if name.startswith("ftjob-"))
    check(output, httpx.get(f"{url}/model-customization-jobs/{name}").json(), name)
