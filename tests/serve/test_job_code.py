"""Code of a job, run against a live server: each text makes the job that the request would have made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer
from tests.serve.job_rows import EXACT, JUDGE, World, world

from tuneward.config import Config, SupervisedConfig, load_section, parse_section
from tuneward.jobs.spec import JobSpec
from tuneward.store.tables import Job

REMOTE = "arn:aws:lambda:us-east-1:123456789012:function:grader:3"
SETTINGS: dict[str, Any] = {
    "data": {"max_prompt_length": 100, "holdout_share": 0.2},
    "training": {
        "epochs": 2,
        "prompts_per_step": 4,
        "samples_per_prompt": 6,
        "learning_rate": 3e-4,
        "temperature": 0.7,
    },
    "lora": {"r": 8, "target_modules": ["q_proj", "v_proj"]},
    "evaluation": {"every_steps": 3, "early_stopping": False},
    "run": {"seed": 11, "keep_checkpoints": 1},
}
REWARDS: dict[str, dict[str, Any]] = {
    "template": {"template": "math_answer"},
    "openai": {"openai": EXACT, "retries": 1},
    "judge": {"judge": {"model": "tiny", "rubric": "tone"}, "held_out": {"template": "math_answer"}},
    "composition": {"compose": {"parts": {"a": {"template": "math_answer"}, "b": {"openai": JUDGE, "weight": 0.5}}}},
    "function": {"function": REMOTE, "error_budget": 0.3},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("code")) as made:
        yield made


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """Object storage with one bucket; its address."""
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    url = f"http://{host}:{port}"
    s3 = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    s3.create_bucket(Bucket="my-rows")
    yield url
    moto.stop()


def request(server: World, reward: dict[str, Any] | None, **changes: Any) -> dict[str, Any]:
    config = SETTINGS if reward is None else SETTINGS | {"reward": reward}
    return {"model": "tiny", "training": {"kind": "file", "file_id": server.train}, "config": config} | changes


def code_of(server: World, body: dict[str, Any]) -> dict[str, str]:
    answer = httpx.post(f"{server.url}/api/jobs/code", json=body)
    assert answer.status_code == 200, answer.text
    code: dict[str, str] = answer.json()
    return code


def run(script: str, folder: Path, **environment: str) -> str:
    """Run a script where the rows lie; its output."""
    (folder / "script.py").write_text(script)
    row = {"messages": [{"role": "user", "content": "?"}], "answer": "!"}
    for name in ("train.jsonl", "validation.jsonl"):
        (folder / name).write_text((json.dumps(row) + "\n") * 40)
    foreign = [name for name in os.environ if name.startswith(("AWS_", "OPENAI_"))]
    inherited = {name: value for name, value in os.environ.items() if name not in foreign}
    keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "TUNEWARD_API_KEY": "any"}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=inherited | keys | environment, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stderr}"
    return done.stdout


def spec_of(server: World, name: str) -> JobSpec:
    job = server.services.database.read(lambda session: session.get(Job, name))
    assert job is not None
    return JobSpec.model_validate(job.spec)


def spec_of_request(server: World, body: dict[str, Any]) -> JobSpec:
    answer = httpx.post(f"{server.url}/api/jobs", json=body)
    assert answer.status_code == 201, answer.text
    return spec_of(server, answer.json()["id"].removeprefix("ftjob-"))


def whole(spec: JobSpec) -> dict[str, Any]:
    """The configuration that a job runs with, defaults included."""
    kind: Any = SupervisedConfig if spec.method == "supervised" else Config
    tree = {**spec.config, "data": {**spec.config["data"], "train": "train.jsonl"}}
    dumped: dict[str, Any] = parse_section(kind, tree).model_dump(mode="json")
    return dumped


@pytest.mark.parametrize("kind", REWARDS)
def test_the_script_for_openais_client_makes_the_same_job(server: World, tmp_path: Path, kind: str) -> None:
    form = {"type": "json_object"} if kind == "openai" else None
    body = request(server, REWARDS[kind], suffix="sums", metadata={"team": 'the "first"'}, response_format=form)
    said = run(code_of(server, body)["openai"], tmp_path)
    made = spec_of(server, said.split()[0].removeprefix("ftjob-"))
    wanted = spec_of_request(server, body)
    assert whole(made) == whole(wanted)
    assert (made.method, made.base_model, made.suffix) == (wanted.method, wanted.base_model, wanted.suffix)
    assert made.response_format == wanted.response_format == form


def test_what_is_not_set_is_not_left_to_the_other_api_either(server: World, tmp_path: Path) -> None:
    """It decides by the data what this one has fixed defaults for."""
    body = request(server, None) | {"config": {"reward": REWARDS["template"]}}
    made = spec_of(server, run(code_of(server, body)["openai"], tmp_path).split()[0].removeprefix("ftjob-"))
    assert whole(made) == whole(spec_of_request(server, body))


def test_a_supervised_job_with_validation_rows_is_the_same_too(server: World, tmp_path: Path) -> None:
    config = {"training": {"epochs": 1, "rows_per_step": 2, "warmup_steps": 3}, "run": {"seed": 4}}
    validation = {"kind": "file", "file_id": server.upload("v.jsonl", 5)}
    body = request(server, None, method="supervised", config=config, validation=validation)
    made = spec_of(server, run(code_of(server, body)["openai"], tmp_path).split()[0].removeprefix("ftjob-"))
    wanted = spec_of_request(server, body)
    assert (whole(made), made.method, len(made.validation)) == (whole(wanted), "supervised", 1)


def test_the_script_for_aws_s_client_makes_the_same_job(server: World, tmp_path: Path, storage: str) -> None:
    config = {
        "reward": {"function": REMOTE, "retries": 3, "timeout_s": 900},
        "data": {"max_prompt_length": 100},
        "training": {"epochs": 2, "prompts_per_step": 32, "samples_per_prompt": 6, "learning_rate": 3e-4},
        "evaluation": {"every_steps": 3},
    }
    body = request(server, None, config=config, name="through-bedrock", suffix="sums")
    script = code_of(server, body)["boto3"]
    assert "no words" not in script
    run(script, tmp_path, AWS_ENDPOINT_URL_S3=storage, BUCKET="my-rows")
    job = server.services.jobs.get("proj_default", "through-bedrock")
    made = JobSpec.model_validate(job.spec)
    assert (made.custom_name, made.training.uri) == ("sums", "s3://my-rows/train.jsonl")  # type: ignore[union-attr]
    assert whole(made) == whole(spec_of_request(server, body | {"name": "again"}))
    s3 = boto3.client(
        "s3", endpoint_url=storage, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    assert s3.head_object(Bucket="my-rows", Key="train.jsonl")["ContentLength"] > 0


def test_it_says_what_that_api_has_no_words_for_and_runs_all_the_same(
    server: World, tmp_path: Path, storage: str
) -> None:
    logs = {"kind": "logs", "uri": "s3://logs/calls/", "filters": {"or_all": [{"not_equals": {"a": "b"}}]}}
    body = request(server, REWARDS["template"], training=logs, name="said", metadata={"team": "a"})
    script = code_of(server, body)["boto3"]
    for words in (
        "`tuneward rewards copy math_answer`", "training.prompts_per_step: 16 instead of 4", "metadata team",
        "training.temperature: 1.0 instead of 0.7", "lora.r: 16 instead of 8", "run.seed: 0 instead of 11",
    ):  # fmt: skip
        assert words in script
    run(script, tmp_path, AWS_ENDPOINT_URL_S3=storage, BUCKET="my-rows", REWARD_FUNCTION_ARN=REMOTE)
    made = JobSpec.model_validate(server.services.jobs.get("proj_default", "said").spec)
    assert made.training.model_dump(exclude_none=True) == logs | {"use_prompt_response": False}
    assert made.config["reward"]["function"] == REMOTE


def test_supervised_jobs_go_through_that_api_too(server: World, tmp_path: Path, storage: str) -> None:
    config = {"training": {"epochs": 1, "rows_per_step": 2, "warmup_steps": 3, "learning_rate": 2e-5}}
    rows = {"kind": "uri", "uri": "s3://my-rows/a.jsonl"}
    body = request(server, None, method="supervised", config=config, training=rows, name="sft", validation=rows)
    run(code_of(server, body)["boto3"], tmp_path, AWS_ENDPOINT_URL_S3=storage, BUCKET="my-rows")
    made = JobSpec.model_validate(server.services.jobs.get("proj_default", "sft").spec)
    wanted = spec_of_request(server, body | {"name": "sft-again"})
    assert (whole(made), made.training, made.validation) == (whole(wanted), wanted.training, wanted.validation)


@pytest.mark.parametrize("kind", REWARDS)
def test_the_configuration_is_that_of_the_job(server: World, tmp_path: Path, kind: str) -> None:
    body = request(server, REWARDS[kind], name="local+1")
    (tmp_path / "config.yaml").write_text(code_of(server, body)["config_yaml"])
    made = load_section(Config, tmp_path / "config.yaml").model_dump(mode="json")
    wanted = whole(spec_of_request(server, {**body, "name": None}))
    assert made.pop("model") == "tiny"
    assert made["data"].pop("train").endswith("train.jsonl")
    assert made["run"].pop("name") == "local-1"
    for tree in (wanted, wanted["data"], wanted["run"]):
        for name in ("model", "train", "name"):
            tree.pop(name, None)
    assert made == wanted


def test_commands_name_the_rows_and_quote_what_was_written(server: World) -> None:
    reward = {"openai": {**EXACT, "reference": "it's; rm -rf /"}}
    cli = code_of(server, request(server, reward))["cli"]
    assert f"/v1/files/{server.train}/content" in cli
    assert "tuneward train config.yaml" in cli
    words = subprocess.run(["bash", "-n"], input=cli, text=True, capture_output=True, check=False)  # parsed, not run
    assert words.returncode == 0, words.stderr


def test_texts_of_people_do_not_leave_their_quotes(server: World, tmp_path: Path) -> None:
    evil = 'x"\nimport sys; sys.exit(3)\n#'
    reward = {"openai": {**EXACT, "reference": evil}}
    body = request(server, reward, metadata={"note\n": evil})
    code = code_of(server, body)
    run(code["openai"], tmp_path)
    compile(code["boto3"], "boto3.py", "exec")
    assert "sys.exit" not in "".join(line for line in code["boto3"].splitlines() if not line.startswith("#"))


def test_an_incomplete_request_has_no_code(server: World) -> None:
    answer = httpx.post(f"{server.url}/api/jobs/code", json={"model": "tiny"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "training")
