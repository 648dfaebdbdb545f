"""`POST /api/jobs`: every kind of job in the words of a configuration, readable through both other APIs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.serve.bedrock_rows import bedrock_client
from tests.serve.job_rows import World, world

from tuneward.config import parse_config
from tuneward.jobs.spec import JobSpec
from tuneward.serve.openai.job_overrides import open_fields
from tuneward.store.tables import Job

REWARD = {"template": "math_answer"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("new")) as made:
        yield made


def request(server: World, **changes: Any) -> dict[str, Any]:
    body = {"model": "tiny", "training": {"kind": "file", "file_id": server.train}, "config": {"reward": REWARD}}
    return body | changes


def create(server: World, *, key: str | None = None, **changes: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return httpx.post(f"{server.url}/api/jobs", json=request(server, **changes), headers=headers)


def spec_of(server: World, job_id: str) -> JobSpec:
    job = server.services.database.read(lambda session: session.get(Job, job_id.removeprefix("ftjob-")))
    assert job is not None
    return JobSpec.model_validate(job.spec)


def test_a_job_has_what_was_asked_for_and_defaults_that_fit_the_model(server: World) -> None:
    config = {
        "reward": {"compose": {"parts": {"a": {**REWARD, "weight": 0.5}}}, "retries": 1},
        "training": {"learning_rate": 3e-4, "max_steps": 7},
        "lora": {"r": 8},
        "run": {"seed": 5, "keep_checkpoints": 1},
    }
    answer = create(server, config=config, suffix="sums", metadata={"team": "a"}, output_uri="s3://results/here/")
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["name"] == body["id"]
    assert body["state"] == "validating"
    spec = spec_of(server, body["id"])
    assert (spec.base_model, spec.suffix, spec.output_uri) == ("tiny", "sums", "s3://results/here/")
    assert spec.config["reward"] == config["reward"]
    made = parse_config({**spec.config, "data": {**spec.config["data"], "train": "train.jsonl"}})
    assert (made.training.learning_rate, made.training.max_steps, made.lora.r) == (3e-4, 7, 8)
    assert (made.run.seed, made.run.keep_checkpoints) == (5, 1)
    # The model takes 256 tokens: half of them for the answer where nothing is said.
    assert (made.data.max_prompt_length, made.training.max_completion_tokens) == (128, 128)


def test_lengths_that_are_given_stay(server: World) -> None:
    given = {"reward": REWARD, "training": {"max_completion_tokens": 200}}
    spec = spec_of(server, create(server, config=given).json()["id"])
    assert (spec.config["data"]["max_prompt_length"], spec.config["training"]["max_completion_tokens"]) == (56, 200)
    given = {"reward": REWARD, "data": {"max_prompt_length": 200}}
    spec = spec_of(server, create(server, config=given).json()["id"])
    assert (spec.config["data"]["max_prompt_length"], spec.config["training"]["max_completion_tokens"]) == (200, 56)


def test_both_other_apis_can_read_it(server: World) -> None:
    logs = {"kind": "logs", "uri": "s3://logs/calls/", "filters": {"and_all": [{"not_equals": {"a": "b"}}]}}
    function = "arn:aws:lambda:us-east-1:123456789012:function:grader"
    config = {"reward": {"function": function}, "training": {"epochs": 3, "prompts_per_step": 32}}
    job = create(
        server, name="readable", training=logs, validation={"kind": "uri", "uri": "s3://rows/v.jsonl"}, config=config,
        output_uri="s3://results/here/",
    ).json()  # fmt: skip
    of_openai = httpx.get(f"{server.url}/v1/fine_tuning/jobs/{job['id']}").json()
    assert of_openai["method"]["reinforcement"]["hyperparameters"]["n_epochs"] == "auto"  # until it is validated
    server.enter(server.client.fine_tuning.jobs.retrieve(job["id"]), "queued")
    of_openai = httpx.get(f"{server.url}/v1/fine_tuning/jobs/{job['id']}").json()
    inner = of_openai["method"]["reinforcement"]
    assert inner["grader"] == {"type": "lambda", "lambda": {"function": function}}
    assert (inner["hyperparameters"]["n_epochs"], inner["hyperparameters"]["batch_size"]) == (3, 32)
    assert of_openai["training_file"] == "s3://logs/calls/"
    bedrock = bedrock_client(server.url)
    of_bedrock = bedrock.get_model_customization_job(jobIdentifier="readable")
    assert of_bedrock["trainingDataConfig"] == {
        "invocationLogsConfig": {
            "usePromptResponse": False,
            "invocationLogSource": {"s3Uri": "s3://logs/calls/"},
            "requestMetadataFilters": {"andAll": [{"notEquals": {"a": "b"}}]},
        }
    }
    assert of_bedrock["validationDataConfig"] == {"validators": [{"s3Uri": "s3://rows/v.jsonl"}]}
    assert of_bedrock["outputDataConfig"] == {"s3Uri": "s3://results/here/"}
    told = of_bedrock["customizationConfig"]["rftConfig"]
    assert told["graderConfig"] == {"lambdaGrader": {"lambdaArn": function}}
    assert told["hyperParameters"]["epochCount"] == 3


def test_a_reward_that_the_others_have_no_word_for_reads_as_a_grader_of_our_own(server: World) -> None:
    job = httpx.get(f"{server.url}/v1/fine_tuning/jobs/{create(server).json()['id']}").json()
    assert job["method"]["reinforcement"]["grader"] == {"type": "tuneward", "reward": REWARD}


def test_a_supervised_job_needs_no_reward(server: World) -> None:
    config = {"training": {"rows_per_step": 4}}
    spec = spec_of(server, create(server, method="supervised", config=config).json()["id"])
    assert (spec.method, spec.config["training"]["rows_per_step"]) == ("supervised", 4)
    assert spec.config["data"]["max_row_tokens"] == 256


def test_the_same_key_makes_one_job(server: World) -> None:
    first, second = create(server, key="once"), create(server, key="once")
    assert (first.status_code, first.json()) == (201, second.json())
    other = create(server, key="once", name="another")
    assert (other.status_code, other.json()["error"]["code"]) == (400, "idempotency_key_reused")
    # The other API's keys are others.
    assert server.create(extra_headers={"Idempotency-Key": "once"}).id != first.json()["id"]


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"model": "absent"}, 404, "model"),
        ({"training": {"kind": "file", "file_id": "file-absent"}}, 400, "training.file_id"),
        ({"validation": {"kind": "file", "file_id": "file-absent"}}, 400, "validation.file_id"),
        ({"training": {"kind": "uri", "uri": "https://example.com/a"}}, 400, "training.uri"),
        ({"training": {"kind": "uri", "uri": "s3://bucket/"}}, 400, "training.uri"),
        ({"output_uri": "/etc"}, 400, "output_uri"),
        ({"config": {}}, 400, "config.reward"),
        ({"config": {"reward": {}}}, 400, "config.reward"),
        ({"config": {"reward": {"file": "/etc/passwd"}}}, 400, "config.reward.file"),
        ({"config": {"reward": REWARD, "training": {"epochs": 0}}}, 400, "config"),
        ({"config": {"reward": REWARD, "training": {"epoch": 1}}}, 400, "config.training.epoch"),
        ({"config": {"reward": REWARD, "rollout": {"command": "sh"}}}, 400, "config.rollout"),
        ({"config": {"reward": REWARD, "run": {"root": "/tmp"}}}, 400, "config.run.root"),
        ({"config": {"reward": REWARD, "data": {"train": "/etc/passwd"}}}, 400, "config.data.train"),
        ({"config": {"reward": REWARD, "lora": {"init_from": "/etc"}}}, 400, "config.lora.init_from"),
        ({"method": "supervised"}, 400, "config.reward"),
        ({"name": "no spaces"}, 400, "name"),
        ({"suffix": "a:b"}, 400, "suffix"),
        ({"unknown": 1}, 400, "unknown"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(
    server: World, change: dict[str, Any], status: int, param: str
) -> None:
    answer = create(server, **change)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["param"] == param


def test_another_projects_file_looks_like_a_missing_one(server: World) -> None:
    server.project("proj_other", "222222222222")
    file_id = server.upload("theirs.jsonl", 10, project="proj_other")
    answers = [
        create(server, training={"kind": "file", "file_id": name}).text.replace(name, "NAME")
        for name in (file_id, "file-absent")
    ]
    assert answers[0] == answers[1]
    assert "file_not_found" in answers[0]


@pytest.mark.parametrize("method", ["reinforcement", "supervised"])
def test_the_schema_lists_every_setting_that_a_request_may_set(server: World, method: Any) -> None:
    answer = httpx.get(f"{server.url}/api/settings-schema", params={"method": method}).json()
    listed = {setting["name"]: setting for setting in answer["data"]}
    wanted = {f"{section}.{field}" for section, fields in open_fields(method).items() for field in fields}
    assert set(listed) == wanted | {"run.seed"}
    assert all(setting["guidance"] for setting in listed.values())
    rate = listed["training.learning_rate"]
    assert (rate["type"], rate["default"], rate["minimum"], rate["excludes_minimum"], rate["maximum"]) == (
        "number", 1e-4, 0, True, 1,
    )  # fmt: skip
    assert listed["training.lr_schedule"]["choices"] == ["constant", "linear", "cosine"]
    assert (listed["training.max_steps"]["is_optional"], listed["training.epochs"]["is_optional"]) == (True, False)


def test_defaults_of_the_schema_make_the_same_job_as_none(server: World) -> None:
    listed = httpx.get(f"{server.url}/api/settings-schema").json()["data"]
    config: dict[str, Any] = {"reward": dict(REWARD)}
    for setting in listed:
        section, field = setting["name"].split(".")
        config.setdefault(section, {})[field] = setting["default"]
    del config["data"]["max_prompt_length"], config["training"]["max_completion_tokens"]  # they follow the model
    made, plain = (spec_of(server, create(server, config=one).json()["id"]) for one in (config, {"reward": REWARD}))
    first, second = (
        parse_config({**spec.config, "data": {**spec.config["data"], "train": "t.jsonl"}}) for spec in (made, plain)
    )
    assert first == second
