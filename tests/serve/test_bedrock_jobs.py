"""Customization jobs through AWS's own client."""

from __future__ import annotations

import datetime
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import select
from tests.serve.bedrock_rows import ROLE, add_model, bedrock_client, change_job, reinforcement_job
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.accounts.projects import create_project
from tuneward.config import Config, ServedModelConfig, ServerConfig, SupervisedConfig
from tuneward.jobs.service import NewJob, add_event
from tuneward.jobs.spec import FileSource, JobSpec
from tuneward.serve.server import Server, bind
from tuneward.serve.services import Services
from tuneward.store.tables import Job


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Services]]:
    models = (ServedModelConfig(name="smollm2-135m", aliases=("amazon.nova-2-lite-v1:0:256k",)),)
    app = app_with(tmp_path_factory.mktemp("home"), config=ServerConfig(models=models))
    with Server(app, bind("127.0.0.1", 0)) as running:
        yield running.url, app.state.services


@pytest.fixture(scope="module")
def bedrock(server: tuple[str, Services]) -> Any:
    return bedrock_client(server[0])


@pytest.fixture(scope="module")
def services(server: tuple[str, Services]) -> Services:
    return server[1]


def refusal(call: Any, **request: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_job_is_read_back_by_name_and_by_arn(bedrock: Any) -> None:
    made = bedrock.create_model_customization_job(**reinforcement_job("read-back", clientRequestToken="token-1"))
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    job = bedrock.get_model_customization_job(jobIdentifier="read-back")
    assert job["jobArn"] == made["jobArn"]
    assert bedrock.get_model_customization_job(jobIdentifier=made["jobArn"])["jobName"] == "read-back"
    assert job["status"] == "InProgress"
    assert job["outputModelName"] == "read-back-model"
    assert job["roleArn"] == ROLE
    assert job["clientRequestToken"] == "token-1"
    assert job["baseModelArn"] == "arn:aws:bedrock:us-east-1::foundation-model/tuneward.smollm2-135m"
    assert job["trainingDataConfig"] == {"s3Uri": "s3://rows/train.jsonl"}
    assert job["validationDataConfig"] == {"validators": []}
    assert job["statusDetails"]["trainingDetails"]["status"] == "NotStarted"
    assert isinstance(job["creationTime"], datetime.datetime)
    assert "outputModelArn" not in job
    assert "failureMessage" not in job


def test_hyperparameters_become_sections_of_the_configuration(bedrock: Any, services: Services) -> None:
    given = {
        "epochCount": 3,
        "batchSize": 32,
        "learningRate": 5e-5,
        "maxPromptLength": 310,
        "inferenceMaxTokens": 750,
        "trainingSamplePerPrompt": 4,
        "reasoningEffort": "high",
        "evalInterval": 7,
    }
    request = reinforcement_job("all-of-them")
    request["customizationConfig"]["rftConfig"]["hyperParameters"] = given
    bedrock.create_model_customization_job(**request)
    spec = JobSpec.model_validate(services.jobs.get(DEFAULT_PROJECT, "all-of-them").spec)
    assert spec.method == "reinforcement"
    assert spec.config["data"] == {"max_prompt_length": 310}
    assert spec.config["training"] == {
        "epochs": 3,
        "prompts_per_step": 32,
        "learning_rate": 5e-5,
        "samples_per_prompt": 4,
        "max_completion_tokens": 750,
    }
    assert spec.config["evaluation"] == {"every_steps": 7}
    Config.model_validate(spec.config | {"data": spec.config["data"] | {"train": "rows.jsonl"}})
    job = bedrock.get_model_customization_job(jobIdentifier="all-of-them")
    assert job["customizationConfig"]["rftConfig"]["hyperParameters"] == given


def test_hyperparameters_that_are_not_given_are_shown_with_their_defaults(bedrock: Any) -> None:
    bedrock.create_model_customization_job(**reinforcement_job("defaults"))
    job = bedrock.get_model_customization_job(jobIdentifier="defaults")
    assert job["customizationConfig"]["rftConfig"]["hyperParameters"] == {
        "epochCount": 1,
        "batchSize": 16,
        "learningRate": 1e-4,
        "maxPromptLength": 1024,
        "inferenceMaxTokens": 512,
        "trainingSamplePerPrompt": 8,
    }


def test_lengths_are_cut_to_the_context_of_the_model(tmp_path: Any) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text('{"max_position_embeddings": 2048}')
    models = (ServedModelConfig(name=str(tmp_path / "tiny")),)
    app = app_with(tmp_path / "home", config=ServerConfig(models=models))
    request = reinforcement_job("long", baseModelIdentifier="tiny")
    limits = {"maxPromptLength": 4096, "inferenceMaxTokens": 8192}
    request["customizationConfig"]["rftConfig"]["hyperParameters"] = limits
    with Server(app, bind("127.0.0.1", 0)) as running:
        bedrock_client(running.url).create_model_customization_job(**request)
    config = app.state.services.jobs.get(DEFAULT_PROJECT, "long").spec["config"]
    assert (config["data"]["max_prompt_length"], config["training"]["max_completion_tokens"]) == (512, 1536)


def test_invocation_logs_become_a_source_with_filters(bedrock: Any, services: Services) -> None:
    filters = {"andAll": [{"equals": {"project": "a"}}, {"notEquals": {"stage": "test"}}]}
    logs = {
        "invocationLogSource": {"s3Uri": "s3://logs/prefix"},
        "usePromptResponse": True,
        "requestMetadataFilters": filters,
    }
    bedrock.create_model_customization_job(
        **reinforcement_job("from-logs", trainingDataConfig={"invocationLogsConfig": logs})
    )
    source = services.jobs.get(DEFAULT_PROJECT, "from-logs").spec["training"]
    assert source == {
        "kind": "logs",
        "uri": "s3://logs/prefix",
        "use_prompt_response": True,
        "filters": {
            "equals": None,
            "not_equals": None,
            "and_all": [{"equals": {"project": "a"}}, {"not_equals": {"stage": "test"}}],
            "or_all": None,
        },
    }
    job = bedrock.get_model_customization_job(jobIdentifier="from-logs")
    assert job["trainingDataConfig"]["invocationLogsConfig"] == logs


def test_fine_tuning_takes_hyperparameters_as_strings(bedrock: Any, services: Services) -> None:
    given = {"epochCount": "2", "batchSize": "4", "learningRate": "0.0002", "learningRateWarmupSteps": "5"}
    request = reinforcement_job("supervised", customizationType=None, customizationConfig=None, hyperParameters=given)
    bedrock.create_model_customization_job(**request)
    spec = JobSpec.model_validate(services.jobs.get(DEFAULT_PROJECT, "supervised").spec)
    assert spec.method == "supervised"
    assert spec.config["training"] == {"epochs": 2, "rows_per_step": 4, "learning_rate": 2e-4, "warmup_steps": 5}
    SupervisedConfig.model_validate(spec.config | {"data": {"train": "rows.jsonl"}})
    job = bedrock.get_model_customization_job(jobIdentifier="supervised")
    assert job["customizationType"] == "FINE_TUNING"
    assert job["hyperParameters"] == given


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epochs": "2"}, "'epochs' is not known; known: epochCount, batchSize, learningRate, learningRateWarmupSteps"),
        ({"epochCount": "many"}, "epochCount is 'many'; expected int from 1 to 50"),
        ({"epochCount": "51"}, "expected int from 1 to 50"),
        ({"learningRate": "nan"}, "expected float"),
        ({"batchSize": "9" * 200}, "expected int"),
    ],
)
def test_strings_that_are_no_hyperparameters_are_refused(bedrock: Any, parameters: Any, message: str) -> None:
    request = reinforcement_job("refused", customizationType=None, customizationConfig=None, hyperParameters=parameters)
    code, said, status = refusal(bedrock.create_model_customization_job, **request)
    assert (code, status) == ("ValidationException", 400)
    assert message in said


def test_the_same_token_makes_one_job(bedrock: Any) -> None:
    request = reinforcement_job("once", clientRequestToken="once-and-again")
    first = bedrock.create_model_customization_job(**request)["jobArn"]
    assert bedrock.create_model_customization_job(**request)["jobArn"] == first


def test_a_name_that_is_taken_conflicts(bedrock: Any, services: Services) -> None:
    bedrock.create_model_customization_job(**reinforcement_job("taken"))
    code, _, status = refusal(bedrock.create_model_customization_job, **reinforcement_job("taken", customModelName="x"))
    assert (code, status) == ("ConflictException", 400)
    again = reinforcement_job("other", customModelName="taken-model")
    assert refusal(bedrock.create_model_customization_job, **again)[0] == "ConflictException"
    add_model(services, "finished")
    again = reinforcement_job("other", customModelName="finished")
    assert refusal(bedrock.create_model_customization_job, **again)[0] == "ConflictException"


def test_stopping_is_allowed_only_while_in_progress(bedrock: Any, services: Services) -> None:
    bedrock.create_model_customization_job(**reinforcement_job("to-stop"))
    change_job(services, "to-stop", state="running")
    arn = bedrock.get_model_customization_job(jobIdentifier="to-stop")["jobArn"]
    assert bedrock.stop_model_customization_job(jobIdentifier=arn)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert bedrock.get_model_customization_job(jobIdentifier=arn)["status"] == "Stopping"
    assert refusal(bedrock.stop_model_customization_job, jobIdentifier=arn)[0] == "ConflictException"
    change_job(services, "to-stop", state="succeeded")
    assert refusal(bedrock.stop_model_customization_job, jobIdentifier=arn)[0] == "ConflictException"


def test_a_missing_job_is_not_found(bedrock: Any) -> None:
    missing = "arn:aws:bedrock:us-east-1:000000000000:model-customization-job/tuneward.smollm2-135m/aaaaaaaaaaaa"
    for name in ("nowhere", missing):
        assert refusal(bedrock.get_model_customization_job, jobIdentifier=name)[0] == "ResourceNotFoundException"
        assert refusal(bedrock.stop_model_customization_job, jobIdentifier=name)[0] == "ResourceNotFoundException"


def test_an_identifier_that_can_be_no_job_is_refused(bedrock: Any) -> None:
    for name in ("white space", "nul\0", "x" * 1012, "arn:aws:bedrock:us-east-1:1:model-customization-job/a/b"):
        assert refusal(bedrock.get_model_customization_job, jobIdentifier=name)[0] == "ValidationException"


def test_another_projects_job_looks_like_a_missing_one(bedrock: Any, services: Services) -> None:
    bedrock.create_model_customization_job(**reinforcement_job("foreign"))
    arn = bedrock.get_model_customization_job(jobIdentifier="foreign")["jobArn"]
    change_job(services, "foreign", project_id=create_project(services.database, "other").id)
    for name in ("foreign", arn):
        assert refusal(bedrock.get_model_customization_job, jobIdentifier=name)[0] == "ResourceNotFoundException"
    listed = bedrock.list_model_customization_jobs(nameContains="foreign")
    assert listed["modelCustomizationJobSummaries"] == []


def test_phases_become_status_details(bedrock: Any, services: Services) -> None:
    bedrock.create_model_customization_job(**reinforcement_job("phases"))
    validated = {"validation": {"started_at": 100.0, "ended_at": 101.5}}
    change_job(services, "phases", state="running", phases=validated | {"training": {"started_at": 102.0}})

    def shown(**values: Any) -> list[str]:
        change_job(services, "phases", **values)
        details = bedrock.get_model_customization_job(jobIdentifier="phases")["statusDetails"]
        return [details[name]["status"] for name in ("validationDetails", "dataProcessingDetails", "trainingDetails")]

    assert shown(state="running") == ["Completed", "NotStarted", "InProgress"]
    assert shown(state="stopping") == ["Completed", "NotStarted", "Stopping"]
    assert shown(state="stopped") == ["Completed", "NotStarted", "Stopped"]
    assert shown(state="failed") == ["Completed", "NotStarted", "Failed"]
    details = bedrock.get_model_customization_job(jobIdentifier="phases")["statusDetails"]["validationDetails"]
    assert details["creationTime"].timestamp() == 100
    assert details["lastModifiedTime"].timestamp() == 101.5


def test_a_failure_is_told_in_at_most_2048_characters(bedrock: Any, services: Services) -> None:
    bedrock.create_model_customization_job(**reinforcement_job("failing"))
    change_job(services, "failing", state="failed", error={"message": "x" * 3000}, finished_at=5.0)
    job = bedrock.get_model_customization_job(jobIdentifier="failing")
    assert (job["status"], job["failureMessage"]) == ("Failed", "x" * 2048)
    assert job["endTime"].timestamp() == 5


def test_a_finished_job_names_its_model_and_the_model_its_job(bedrock: Any, services: Services) -> None:
    bedrock.create_model_customization_job(**reinforcement_job("finishing"))
    job = change_job(services, "finishing", state="succeeded")
    model = add_model(services, "finishing-model", job=job)
    job = change_job(services, "finishing", model_id=model.id)
    services.database.write(
        lambda session: add_event(session, job, "step", "Step 1", kind="metrics", data={"kind": "step", "loss": 0.25})
    )
    shown = bedrock.get_model_customization_job(jobIdentifier="finishing")
    tuned = bedrock.get_custom_model(modelIdentifier=shown["outputModelArn"])
    assert shown["trainingMetrics"] == tuned["trainingMetrics"] == {"trainingLoss": 0.25}
    assert (tuned["modelName"], tuned["jobName"], tuned["jobArn"]) == ("finishing-model", "finishing", shown["jobArn"])
    assert tuned["modelArn"] == shown["outputModelArn"]
    assert tuned["customizationConfig"] == shown["customizationConfig"]


def test_a_job_of_openais_api_can_be_watched_here(bedrock: Any, services: Services) -> None:
    caller = Principal("key_fixed", DEFAULT_PROJECT, "000000000000", "admin")
    spec = JobSpec(method="reinforcement", base_model="smollm2-135m", training=FileSource(file_id="file-1"))
    made = services.jobs.create(caller, NewJob(dialect="openai", model="smollm2-135m", spec=spec, request={}))
    job = bedrock.get_model_customization_job(jobIdentifier=made.name)
    assert job["customizationType"] == "REINFORCEMENT_FINE_TUNING"
    assert job["trainingDataConfig"] == {}
    bedrock.stop_model_customization_job(jobIdentifier=job["jobArn"])


def test_a_job_may_start_from_a_tuned_model(bedrock: Any, services: Services) -> None:
    model = add_model(services, "starting-point")
    arn = bedrock.get_custom_model(modelIdentifier="starting-point")["modelArn"]
    for number, name in enumerate((arn, "starting-point")):
        request = reinforcement_job(f"onwards-{number}", baseModelIdentifier=name)
        bedrock.create_model_customization_job(**request)
        spec = services.jobs.get(DEFAULT_PROJECT, f"onwards-{number}").spec
        assert (spec["base_model"], spec["start_from"]) == ("smollm2-135m", model.adapter)


@pytest.mark.parametrize(
    "name",
    [
        "amazon.nova-2-lite-v1:0:256k",
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0:256k",
        "tuneward.smollm2-135m",
        "arn:aws:bedrock:us-east-1::foundation-model/tuneward.smollm2-135m",
    ],
)
def test_a_base_model_is_known_by_each_of_its_names(bedrock: Any, services: Services, name: str) -> None:
    job_name = f"base-{zlib.crc32(name.encode())}"
    bedrock.create_model_customization_job(**reinforcement_job(job_name, baseModelIdentifier=name))
    assert services.jobs.get(DEFAULT_PROJECT, job_name).spec["base_model"] == "smollm2-135m"


def test_pages_hold_every_job_once_in_either_order(bedrock: Any) -> None:
    names = [f"paged-{number}" for number in range(5)]
    for name in names:
        bedrock.create_model_customization_job(**reinforcement_job(name))
    for order, expected in (("Ascending", names), ("Descending", names[::-1])):
        paginator = bedrock.get_paginator("list_model_customization_jobs")
        paging = {"PageSize": 2}
        pages = list(paginator.paginate(nameContains="paged-", sortOrder=order, PaginationConfig=paging))
        sizes = [len(page["modelCustomizationJobSummaries"]) for page in pages]
        found = [job["jobName"] for page in pages for job in page["modelCustomizationJobSummaries"]]
        assert (sizes, found) == ([2, 2, 1], expected)


def test_lists_can_be_narrowed_by_status_and_time(bedrock: Any, services: Services) -> None:
    for number, state in enumerate(("succeeded", "cancelled", "queued")):
        bedrock.create_model_customization_job(**reinforcement_job(f"narrow-{number}"))
        change_job(services, f"narrow-{number}", state=state, created_at=1000.0 + number)

    def found(**query: Any) -> list[str]:
        jobs = bedrock.list_model_customization_jobs(nameContains="narrow-", **query)["modelCustomizationJobSummaries"]
        return sorted(job["jobName"] for job in jobs)

    assert found(statusEquals="Completed") == ["narrow-0"]
    assert found(statusEquals="Stopped") == ["narrow-1"]
    assert found(statusEquals="InProgress") == ["narrow-2"]
    moment = datetime.datetime.fromtimestamp(1001, datetime.UTC)
    assert found(creationTimeAfter=moment) == ["narrow-2"]
    assert found(creationTimeBefore=moment) == ["narrow-0"]


def test_a_token_that_no_page_gave_is_refused(bedrock: Any) -> None:
    for token in ("nonsense", "====", "bmFuL2FhYWFhYWFhYWFhYQ=="):
        assert refusal(bedrock.list_model_customization_jobs, nextToken=token)[0] == "ValidationException"


def test_tags_of_a_job_and_of_the_model_it_will_make(bedrock: Any, services: Services) -> None:
    job_tags, model_tags = [{"key": "team", "value": "a"}], [{"key": "stage", "value": "b"}]
    request = reinforcement_job("tagged", jobTags=job_tags, customModelTags=model_tags)
    arn = bedrock.create_model_customization_job(**request)["jobArn"]
    assert bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == job_tags
    add_model(services, "tagged-model", job=services.jobs.get(DEFAULT_PROJECT, "tagged"))
    model_arn = bedrock.get_custom_model(modelIdentifier="tagged-model")["modelArn"]
    assert bedrock.list_tags_for_resource(resourceARN=model_arn)["tags"] == model_tags


def test_a_function_here_must_be_there_when_the_job_is_made(bedrock: Any) -> None:
    grader = {"lambdaGrader": {"lambdaArn": "arn:aws:lambda:us-east-1:000000000000:function:nowhere"}}
    request = reinforcement_job("no-grader", customizationConfig={"rftConfig": {"graderConfig": grader}})
    code, message, _ = refusal(bedrock.create_model_customization_job, **request)
    assert code == "ValidationException"
    assert "nowhere" in message


def test_an_unknown_base_model_is_refused_with_the_known_ones(bedrock: Any) -> None:
    request = reinforcement_job("unknown", baseModelIdentifier="amazon.titan-text")
    code, message, _ = refusal(bedrock.create_model_customization_job, **request)
    assert code == "ValidationException"
    assert "smollm2-135m" in message


def test_refused_requests_leave_no_job(bedrock: Any, services: Services) -> None:
    count = len(services.database.read(lambda session: session.scalars(select(Job)).all()))
    refusal(bedrock.create_model_customization_job, **reinforcement_job("bad", customizationType="DISTILLATION"))
    assert len(services.database.read(lambda session: session.scalars(select(Job)).all())) == count
