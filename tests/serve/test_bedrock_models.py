"""Custom models, deployments, base models, tags and logging through AWS's own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.serve.bedrock_rows import add_model, bedrock_client, change_job, reinforcement_job
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.accounts.projects import create_project
from tuneward.config import ServedModelConfig, ServerConfig, StorageConfig
from tuneward.jobs.problems import InvalidRequestError, ObjectNotFoundError
from tuneward.serve.server import Server, bind
from tuneward.serve.services import Services
from tuneward.store.tables import Checkpoint, CheckpointPermission, Tag

NOVA = "amazon.nova-2-lite-v1:0:256k"


@pytest.fixture
def server(tmp_path: Any) -> Iterator[tuple[str, Services]]:
    models = (ServedModelConfig(name="smollm2-135m", aliases=(NOVA, "small")),)
    app = app_with(tmp_path / "home", config=ServerConfig(models=models, storage=StorageConfig(buckets=("logs",))))
    with Server(app, bind("127.0.0.1", 0)) as running:
        yield running.url, app.state.services


@pytest.fixture
def bedrock(server: tuple[str, Services]) -> Any:
    return bedrock_client(server[0])


@pytest.fixture
def services(server: tuple[str, Services]) -> Services:
    return server[1]


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def deploy(bedrock: Any, model: str, name: str, **further: Any) -> str:
    arn = bedrock.get_custom_model(modelIdentifier=model)["modelArn"]
    made = bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=arn, **further)
    return str(made["customModelDeploymentArn"])


def test_models_are_listed_narrowed_and_paged(bedrock: Any, services: Services) -> None:
    for number in range(3):
        add_model(services, f"listed-{number}")
    pages = list(bedrock.get_paginator("list_custom_models").paginate(PaginationConfig={"PageSize": 2}))
    assert [m["modelName"] for p in pages for m in p["modelSummaries"]] == ["listed-2", "listed-1", "listed-0"]
    nova = f"arn:aws:bedrock:us-east-1::foundation-model/{NOVA}"

    def count(**query: Any) -> int:
        return len(bedrock.list_custom_models(**query)["modelSummaries"])

    assert count(nameContains="-1") == 1
    assert count(foundationModelArnEquals=nova, baseModelArnEquals=nova) == 3
    assert count(foundationModelArnEquals="arn:aws:bedrock:us-east-1::foundation-model/amazon.titan") == 0
    assert count(isOwned=False) == count(modelStatus="Failed") == 0


def test_the_next_page_is_found_also_when_the_last_entry_was_deleted(bedrock: Any, services: Services) -> None:
    for number in range(3):
        add_model(services, f"going-{number}")
    first = bedrock.list_custom_models(maxResults=1, sortOrder="Ascending")
    bedrock.delete_custom_model(modelIdentifier="going-0")
    rest = bedrock.list_custom_models(nextToken=first["nextToken"], sortOrder="Ascending")
    assert [model["modelName"] for model in rest["modelSummaries"]] == ["going-1", "going-2"]


def test_a_deployment_is_active_at_once_and_found_by_name_and_arn(bedrock: Any, services: Services) -> None:
    model = add_model(services, "tuned")
    arn = deploy(bedrock, "tuned", "chat", description="for the desk", tags=[{"key": "a", "value": "b"}])
    for name in ("chat", arn):
        found = bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=name)
        assert (found["modelDeploymentName"], found["status"]) == ("chat", "Active")
        assert found["description"] == "for the desk"
        assert found["modelArn"].endswith(model.id)
    assert bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "a", "value": "b"}]
    assert services.models.find(DEFAULT_PROJECT, arn).adapter == services.home / model.adapter


@pytest.mark.parametrize("damage", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_damaged_adapter_makes_the_deployment_fail(bedrock: Any, services: Services, damage: str) -> None:
    model = add_model(services, "damaged")
    file = services.home / model.adapter / damage
    file.write_bytes(file.read_bytes()[:-1])
    arn = deploy(bedrock, "damaged", "broken")
    found = bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)
    assert found["status"] == "Failed"
    assert "cannot be read" in found["failureMessage"]
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        services.models.find(DEFAULT_PROJECT, arn)


def test_a_deployment_can_be_given_another_model(bedrock: Any, services: Services) -> None:
    add_model(services, "first")
    second = add_model(services, "second")
    broken = add_model(services, "third")
    (services.home / broken.adapter / "adapter_model.safetensors").unlink()
    arn = deploy(bedrock, "first", "swapped")

    def swap(name: str) -> Any:
        model = bedrock.get_custom_model(modelIdentifier=name)["modelArn"]
        made = bedrock.update_custom_model_deployment(customModelDeploymentIdentifier="swapped", modelArn=model)
        assert made["customModelDeploymentArn"] == arn
        return bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)

    found = swap("second")
    assert found["modelArn"].endswith(second.id)
    assert found["updateDetails"] == {"modelArn": found["modelArn"], "updateStatus": "UpdateCompleted"}
    found = swap("third")
    assert found["updateDetails"]["updateStatus"] == "UpdateFailed"
    assert (found["status"], found["modelArn"][-12:]) == ("Active", second.id)
    bedrock.delete_custom_model(modelIdentifier="third")
    assert "updateDetails" not in bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)


def test_the_same_token_makes_one_deployment_and_another_one_conflicts(bedrock: Any, services: Services) -> None:
    add_model(services, "tuned")
    first = deploy(bedrock, "tuned", "named", clientRequestToken="token")
    assert deploy(bedrock, "tuned", "named", clientRequestToken="token") == first
    arn = bedrock.get_custom_model(modelIdentifier="tuned")["modelArn"]
    code, _ = refusal(bedrock.create_custom_model_deployment, modelDeploymentName="named", modelArn=arn)
    assert code == "ConflictException"


def test_deployments_are_listed_narrowed_and_paged(bedrock: Any, services: Services) -> None:
    for number in range(3):
        add_model(services, f"model-{number}")
        deploy(bedrock, f"model-{number}", f"deployment-{number}")
    pages = list(bedrock.get_paginator("list_custom_model_deployments").paginate(PaginationConfig={"PageSize": 2}))
    names = [d["customModelDeploymentName"] for p in pages for d in p["modelDeploymentSummaries"]]
    assert names == ["deployment-2", "deployment-1", "deployment-0"]
    arn = bedrock.get_custom_model(modelIdentifier="model-1")["modelArn"]
    found = bedrock.list_custom_model_deployments(modelArnEquals=arn, statusEquals="Active")
    assert [d["customModelDeploymentName"] for d in found["modelDeploymentSummaries"]] == ["deployment-1"]
    assert bedrock.list_custom_model_deployments(statusEquals="Failed")["modelDeploymentSummaries"] == []


def test_a_deployed_model_cannot_be_deleted(bedrock: Any, services: Services) -> None:
    model = add_model(services, "tuned")
    deploy(bedrock, "tuned", "chat")
    code, message = refusal(bedrock.delete_custom_model, modelIdentifier="tuned")
    assert code == "ConflictException"
    assert "chat" in message
    bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier="chat")
    bedrock.delete_custom_model(modelIdentifier="tuned")
    assert not (services.home / model.adapter).exists()
    assert refusal(bedrock.get_custom_model, modelIdentifier="tuned")[0] == "ResourceNotFoundException"
    assert refusal(bedrock.delete_custom_model, modelIdentifier="tuned")[0] == "ResourceNotFoundException"


def test_a_model_that_a_job_starts_from_cannot_be_deleted(bedrock: Any, services: Services) -> None:
    add_model(services, "start")
    bedrock.create_model_customization_job(**reinforcement_job("onwards", baseModelIdentifier="start"))
    code, message = refusal(bedrock.delete_custom_model, modelIdentifier="start")
    assert code == "ConflictException"
    assert "onwards" in message
    change_job(services, "onwards", state="failed")
    bedrock.delete_custom_model(modelIdentifier="start")


def test_the_checkpoint_of_a_deleted_model_goes_with_it(bedrock: Any, services: Services) -> None:
    bedrock.create_model_customization_job(**reinforcement_job("made"))
    job = change_job(services, "made", state="succeeded")
    model = add_model(services, "made-model", job=job)
    other = create_project(services.database, "other")
    add_checkpoint(services, job.id, "kept", step=1, adapter="elsewhere")
    add_checkpoint(services, job.id, "gone", step=2, adapter=model.adapter)
    permit(services, "gone", other.id)
    assert services.models.find(other.id, "gone").base_model == "smollm2-135m"
    bedrock.delete_custom_model(modelIdentifier="made-model")
    assert services.models.find(DEFAULT_PROJECT, "kept").adapter == services.home / "elsewhere"
    for project in (DEFAULT_PROJECT, other.id):
        with pytest.raises(ObjectNotFoundError):
            services.models.find(project, "gone")


def test_another_project_sees_nothing_but_permitted_checkpoints(bedrock: Any, services: Services) -> None:
    bedrock.create_model_customization_job(**reinforcement_job("private"))
    job = change_job(services, "private", state="succeeded")
    model = add_model(services, "private-model", job=job)
    add_checkpoint(services, job.id, "shared", step=1, adapter="a")
    add_checkpoint(services, job.id, "unshared", step=2, adapter="b")
    arn = deploy(bedrock, "private-model", "private-deployment")
    other = create_project(services.database, "other").id
    permit(services, "shared", other)
    assert services.models.find(other, "shared").owner == DEFAULT_PROJECT
    model_arn = bedrock.get_custom_model(modelIdentifier="private-model")["modelArn"]
    for name in (model.name, model.id, "private-model", model_arn, arn, "unshared"):
        assert services.models.find(DEFAULT_PROJECT, name if name != model.id else model.name)
        with pytest.raises(ObjectNotFoundError):
            services.models.find(other, name)
    assert services.models.usable(other) == []
    assert [tuned.name for tuned in services.models.usable(DEFAULT_PROJECT)] == [model.name]
    for call in (services.models.get, services.models.delete):
        with pytest.raises(ObjectNotFoundError):
            call(other, model.id)
    with pytest.raises(ObjectNotFoundError):
        services.deployments.get(other, arn)


def test_tags_are_added_changed_and_removed(bedrock: Any, services: Services) -> None:
    add_model(services, "tagged")
    arn = bedrock.get_custom_model(modelIdentifier="tagged")["modelArn"]
    bedrock.tag_resource(resourceARN=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    bedrock.tag_resource(resourceARN=arn, tags=[{"key": "b", "value": "3"}])
    bedrock.untag_resource(resourceARN=arn, tagKeys=["a", "missing"])
    assert bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "b", "value": "3"}]
    twice = [{"key": "a", "value": "1"}] * 2
    assert refusal(bedrock.tag_resource, resourceARN=arn, tags=twice)[0] == "ValidationException"
    many = [{"key": f"k{number}", "value": ""} for number in range(200)]
    assert refusal(bedrock.tag_resource, resourceARN=arn, tags=many)[0] == "TooManyTagsException"
    bedrock.delete_custom_model(modelIdentifier="tagged")
    assert refusal(bedrock.list_tags_for_resource, resourceARN=arn)[0] == "ResourceNotFoundException"
    assert services.database.read(lambda session: session.query(Tag).count()) == 0


def test_base_models_are_listed_under_their_managed_ids(bedrock: Any) -> None:
    listed = bedrock.list_foundation_models()["modelSummaries"]
    assert [model["modelId"] for model in listed] == ["tuneward.smollm2-135m", NOVA]
    assert all("REINFORCEMENT_FINE_TUNING" in model["customizationsSupported"] for model in listed)
    for query in ({"byOutputModality": "IMAGE"}, {"byInferenceType": "PROVISIONED"}, {"byProvider": "Amazon"}):
        assert bedrock.list_foundation_models(**query)["modelSummaries"] == []
    assert bedrock.list_foundation_models(byCustomizationType="DISTILLATION")["modelSummaries"] == []
    found = bedrock.list_foundation_models(byProvider="tuneward", byCustomizationType="FINE_TUNING")["modelSummaries"]
    assert found == listed
    for name in ("small", NOVA, listed[1]["modelArn"]):
        assert bedrock.get_foundation_model(modelIdentifier=name)["modelDetails"]["modelName"] == "smollm2-135m"
    assert bedrock.get_foundation_model(modelIdentifier=listed[1]["modelArn"])["modelDetails"]["modelId"] == NOVA
    assert refusal(bedrock.get_foundation_model, modelIdentifier="other.model")[0] == "ResourceNotFoundException"


def test_logging_is_kept_shown_and_removed(bedrock: Any, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    probed: list[str] = []
    monkeypatch.setattr(type(services.objects), "probe_write", lambda _, prefix: probed.append(prefix))
    assert "loggingConfig" not in bedrock.get_model_invocation_logging_configuration()
    config = {"s3Config": {"bucketName": "logs", "keyPrefix": "calls/"}, "textDataDeliveryEnabled": True}
    bedrock.put_model_invocation_logging_configuration(loggingConfig=config)
    bedrock.put_model_invocation_logging_configuration(loggingConfig=config)
    assert probed == ["s3://logs/calls"] * 2
    assert bedrock.get_model_invocation_logging_configuration()["loggingConfig"] == config
    bedrock.delete_model_invocation_logging_configuration()
    bedrock.delete_model_invocation_logging_configuration()
    assert "loggingConfig" not in bedrock.get_model_invocation_logging_configuration()


def test_logging_to_what_cannot_be_written_is_refused(bedrock: Any) -> None:
    put = bedrock.put_model_invocation_logging_configuration
    code, message = refusal(put, loggingConfig={"s3Config": {"bucketName": "elsewhere"}})
    assert (code, "elsewhere" in message) == ("ValidationException", True)
    cloud = {"logGroupName": "g", "roleArn": "arn:aws:iam::123456789012:role/r"}
    assert "s3Config" in refusal(put, loggingConfig={"cloudWatchConfig": cloud})[1]
    assert "loggingConfig" not in bedrock.get_model_invocation_logging_configuration()


def test_what_is_not_offered_is_refused_with_the_reason(bedrock: Any) -> None:
    code, message = refusal(
        bedrock.create_provisioned_model_throughput, modelUnits=1, provisionedModelName="p", modelId="m"
    )
    assert code == "ValidationException"
    assert "on-demand deployment" in message
    assert refusal(bedrock.get_provisioned_model_throughput, provisionedModelId="p")[0] == "ValidationException"
    assert refusal(bedrock.get_evaluation_job, jobIdentifier="arn:aws:x/y")[0] == "ValidationException"
    source = {"s3DataSource": {"s3Uri": "s3://bucket/model"}}
    assert "configuration" in refusal(bedrock.create_custom_model, modelName="m", modelSourceConfig=source)[1]
    assert bedrock.list_provisioned_model_throughputs()["provisionedModelSummaries"] == []
    assert bedrock.list_evaluation_jobs()["jobSummaries"] == []


def add_checkpoint(services: Services, job_id: str, name: str, *, step: int, adapter: str) -> None:
    checkpoint = Checkpoint(
        id=f"ftckpt_{name}",
        job_id=job_id,
        project_id=DEFAULT_PROJECT,
        step=step,
        model_name=name,
        adapter=adapter,
        metrics={},
        created_at=1.0,
    )
    services.database.write(lambda session: session.add(checkpoint))


def permit(services: Services, name: str, project_id: str) -> None:
    permission = CheckpointPermission(
        id=f"cp_{name}", checkpoint_id=f"ftckpt_{name}", project_id=project_id, created_at=1.0
    )
    services.database.write(lambda session: session.add(permission))
