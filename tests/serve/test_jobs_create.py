"""What becomes of the body of a create request, sent by OpenAI's own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tests.serve.job_rows import JUDGE, MULTI, World, reinforcement, world

from tuneward.config import parse_config
from tuneward.jobs.spec import JobSpec
from tuneward.rewards.functions import FunctionRegistry
from tuneward.store.tables import Job

SCHEMA = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("create")) as server:
        yield server


def spec_of(server: World, job: Any) -> JobSpec:
    row = server.services.database.read(lambda session: session.get(Job, job.id.removeprefix("ftjob-")))
    assert row is not None
    return JobSpec.model_validate(row.spec)


def refusal(server: World, **body: Any) -> Any:
    with pytest.raises(openai.BadRequestError) as error:
        server.create(**body)
    assert isinstance(error.value.body, dict)
    assert set(error.value.body) == {"message", "type", "param", "code"}
    return error.value


def test_auto_becomes_numbers_by_the_documented_rules(made: World) -> None:
    job = made.create(training_file=made.upload("t.jsonl", 1000), validation_file=made.upload("v.jsonl", 50))
    config = spec_of(made, job).config
    training, evaluation = config["training"], config["evaluation"]
    # 1000 rows: the largest automatic batch, 31 steps a pass, two passes for at least 60 steps.
    assert (training["prompts_per_step"], training["epochs"], training["samples_per_prompt"]) == (32, 2, 8)
    assert training["learning_rate"] == pytest.approx(1e-4)
    assert (evaluation["every_steps"], evaluation["samples_per_prompt"], evaluation["early_stopping"]) == (10, 1, True)
    # Half of the context of 256 tokens for the answer, the rest for the prompt.
    assert (training["max_completion_tokens"], config["data"]["max_prompt_length"]) == (128, 128)
    assert evaluation["max_rows"] == 1000


def test_given_hyperparameters_become_the_run_s(made: World) -> None:
    asked = {
        "n_epochs": 2, "batch_size": 8, "compute_multiplier": 0.5, "learning_rate_multiplier": 3,
        "eval_interval": 5000, "eval_samples": 2, "reasoning_effort": "low",
    }  # fmt: skip
    job = made.create(method=reinforcement(hyperparameters=asked), seed=42, suffix="icd10")
    spec = spec_of(made, job)
    training, evaluation = spec.config["training"], spec.config["evaluation"]
    assert (training["epochs"], training["prompts_per_step"], training["samples_per_prompt"]) == (2, 8, 4)
    assert training["learning_rate"] == pytest.approx(3e-4)
    # Two answers to one prompt are only different when they are sampled.
    assert (evaluation["every_steps"], evaluation["samples_per_prompt"], evaluation["temperature"]) == (1000, 2, 1.0)
    assert evaluation["early_stopping"] is False
    assert (spec.config["run"]["seed"], spec.suffix, job.seed, job.user_provided_suffix) == (42, "icd10", 42, "icd10")


@pytest.mark.parametrize(("multiplier", "group"), [(0.001, 2), (1.0, 8), (10, 80)])
def test_the_compute_multiplier_scales_the_group(made: World, multiplier: float, group: int) -> None:
    job = made.create(method=reinforcement(hyperparameters={"compute_multiplier": multiplier}))
    assert spec_of(made, job).config["training"]["samples_per_prompt"] == group


def test_the_worker_can_make_a_configuration_of_it(made: World) -> None:
    config = spec_of(made, made.create(method=reinforcement(MULTI))).config
    config["data"] |= {"train": "train.jsonl"}
    assert parse_config(config).reward.openai == config["reward"]["openai"]


def test_where_judges_are_is_left_to_the_worker(made: World) -> None:
    """The address that a server has now may be another one when the job runs."""
    assert "connection" not in spec_of(made, made.create(method=reinforcement(JUDGE))).config["reward"]


def test_bedrock_s_lambda_grader_is_a_reward_function(made: World) -> None:
    function = "arn:aws:lambda:us-west-2:123456789012:function:my-grader"
    grader = {"type": "lambda", "lambda": {"function": function}}
    job = made.client.fine_tuning.jobs.create(
        model="tiny", training_file=made.train, extra_body={"method": reinforcement(grader)}
    )
    reward = spec_of(made, job).config["reward"]
    assert (reward["function"], reward["reference_answer"]) == (function, "text")
    assert job.method.reinforcement.grader.to_dict() == grader  # type: ignore[union-attr]


def test_a_function_that_is_not_registered_here_is_refused(made: World) -> None:
    assert isinstance(made.services.functions("proj_default"), FunctionRegistry)
    grader = {"type": "lambda", "lambda": {"function": "arn:aws:lambda:us-east-1:000000000000:function:absent"}}
    error = refusal(made, method=reinforcement(grader))
    assert error.param == "method.reinforcement.grader.lambda.function"


def test_every_kind_of_reward_can_be_a_grader(made: World) -> None:
    reward = {
        "compose": {
            "parts": {
                "answer": {"template": "math_answer", "weight": 0.7},
                "tone": {"judge": {"model": "tiny", "rubric": "tone"}, "weight": 0.3},
                "own": {"judge": {"model": "tiny", "rubric_text": "Good?\n{{response}}"}, "weight": 0.1},
                "remote": {"endpoint": {"url": "https://example.com/score"}, "weight": 0},
                "exact": {"openai": MULTI, "weight": 0},
            }
        },
        "held_out": {"template": "math_answer"},
    }
    grader = {"type": "tuneward", "reward": reward}
    job = made.create(method=reinforcement(grader))
    assert {key: spec_of(made, job).config["reward"][key] for key in reward} == reward
    assert job.method.reinforcement.grader.to_dict() == grader


@pytest.mark.parametrize(
    ("reward", "param"),
    [
        ("file", ""),
        ({}, ""),
        ({"file": "/etc/passwd"}, ".file"),
        ({"template": "../secret"}, ".template"),
        ({"template": "math_answer", "connection": {"url": "http://169.254.169.254/"}}, ".connection"),
        ({"template": "math_answer", "isolation": "process"}, ".isolation"),
        ({"judge": {"model": "tiny", "rubric": "/etc/passwd.md"}}, ".judge.rubric"),
        ({"judge": {"model": "tiny", "rubric_text": "Good?"}}, ".judge.rubric_text"),
        ({"openai": "/etc/passwd"}, ".openai"),
        ({"function": "absent"}, ".function"),
        (
            {"endpoint": {"url": "https://a.example", "secret_variable": "TUNEWARD_API_KEY"}},
            ".endpoint.secret_variable",
        ),
        ({"endpoint": {"url": "https://a.example", "header_variables": {"x": "HOME"}}}, ".endpoint.header_variables"),
        ({"endpoint": {"url": "http://127.0.0.1", "allow_private": True}}, ".endpoint.allow_private"),
        ({"compose": {"parts": {"a": {"file": "x.py"}}}}, ".compose.parts.a.file"),
        ({"template": "math_answer", "held_out": {"file": "x.py"}}, ".held_out.file"),
        ({"template": "math_answer", "held_out": 3}, ".held_out"),
        ({"compose": {"parts": [1]}}, ".compose.parts"),
    ],
)
def test_what_is_the_operators_cannot_be_set_in_a_reward(made: World, reward: Any, param: str) -> None:
    error = refusal(made, method=reinforcement({"type": "tuneward", "reward": reward}))
    assert error.status_code == 400
    assert error.param is not None
    assert error.param.startswith(f"method.reinforcement.grader.reward{param}")


@pytest.mark.parametrize(
    "wanted",
    [
        {"type": "json_schema", "json_schema": {"name": "ans", "strict": True, "schema": SCHEMA}},
        {"type": "json_schema", "name": "ans", "strict": True, "schema": SCHEMA},
    ],
)
def test_both_shapes_of_response_format_mean_the_same(made: World, wanted: Any) -> None:
    job = made.create(method=reinforcement(response_format=wanted))
    assert spec_of(made, job).response_format == {
        "type": "json_schema",
        "json_schema": {"name": "ans", "strict": True, "schema": SCHEMA},
    }
    assert job.method.reinforcement.response_format == wanted


def test_without_a_method_or_with_old_hyperparameters_it_is_supervised(made: World) -> None:
    job = made.client.fine_tuning.jobs.create(
        model="tiny", training_file=made.train, hyperparameters={"n_epochs": 4, "batch_size": 2}
    )
    spec = spec_of(made, job)
    assert (spec.method, spec.config["training"]["epochs"], spec.config["training"]["rows_per_step"]) == (
        "supervised", 4, 2,
    )  # fmt: skip
    assert job.method.type == "supervised"  # type: ignore[union-attr]
    assert job.hyperparameters.n_epochs == 4
    assert job.hyperparameters.learning_rate_multiplier == "auto"


def test_settings_of_the_extension_go_before_hyperparameters(made: World) -> None:
    wanted = {"training": {"max_steps": 3, "max_completion_tokens": 6}, "lora": {"r": 4}, "reward": {"timeout_s": 5}}
    config = spec_of(made, made.create(extra_body={"tuneward": wanted})).config
    assert (config["training"]["max_steps"], config["training"]["max_completion_tokens"]) == (3, 6)
    assert (config["lora"]["r"], config["reward"]["timeout_s"], config["data"]["max_prompt_length"]) == (4, 5, 250)


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"rollout": {"command": "rm"}}, "tuneward.rollout"),
        ({"reward": {"file": "/etc/passwd"}}, "tuneward.reward.file"),
        ({"reward": {"isolation": "process"}}, "tuneward.reward.isolation"),
        ({"lora": {"init_from": "/elsewhere"}}, "tuneward.lora.init_from"),
        ({"run": {"root": "/elsewhere"}}, "tuneward.run.root"),
        ({"data": {"train": "/etc/passwd"}}, "tuneward.data.train"),
        ({"training": {"learn_rate": 1}}, "tuneward.training.learn_rate"),
        ({"training": {"learning_rate": -1}}, "tuneward"),
    ],
)
def test_the_extension_reaches_no_paths_programs_or_hosts(made: World, wanted: Any, param: str) -> None:
    assert refusal(made, extra_body={"tuneward": wanted}).param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"method": {"type": "dpo", "dpo": {}}}, "method.type"),
        ({"method": {"type": "reinforcement"}}, "method.reinforcement"),
        ({"method": {"type": "rl"}}, "method.type"),
        ({"method": reinforcement({"type": "string_check", "name": "x"})}, "method.reinforcement.grader.input"),
        ({"method": reinforcement({"type": "lambda", "lambda": {}})}, "method.reinforcement.grader.lambda.function"),
        ({"method": reinforcement(hyperparameters={"n_epochs": 51})}, "method.reinforcement.hyperparameters.n_epochs"),
        ({"method": reinforcement(hyperparameters={"batch_size": "1"})},
         "method.reinforcement.hyperparameters.batch_size"),
        ({"method": reinforcement(hyperparameters={"compute_multiplier": 0.00001})},
         "method.reinforcement.hyperparameters.compute_multiplier"),
        ({"method": reinforcement(hyperparameters={"lr": 1})}, "method.reinforcement.hyperparameters.lr"),
        ({"suffix": "a:b"}, "suffix"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"seed": 2**31}, "seed"),
        ({"metadata": {f"k{i}": "v" for i in range(17)}}, "metadata"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"integrations": [{"type": "wandb", "wandb": {}}]}, "integrations[0].wandb.project"),
        ({"training_file": "file-absent"}, "training_file"),
        ({"validation_file": "file-absent"}, "validation_file"),
        ({"extra_body": {"colour": "red"}}, "colour"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_place(made: World, body: Any, param: str) -> None:
    assert refusal(made, **body).param == param


def test_files_must_be_for_fine_tuning_and_the_project_s_own(made: World) -> None:
    assert refusal(made, training_file=made.upload("x.jsonl", 3, purpose="user_data")).code == "invalid_file_purpose"
    made.project("proj_other", "000000000077")
    theirs = made.upload("theirs.jsonl", 3, project="proj_other")
    assert refusal(made, training_file=theirs).code == "file_not_found"


def test_an_unknown_model_is_named_with_the_known_ones(made: World) -> None:
    with pytest.raises(openai.NotFoundError) as error:
        made.create(model="o4-mini-2025-04-16")
    assert error.value.code == "model_not_found"
    assert "tiny" in error.value.message


def test_a_tuned_model_or_checkpoint_can_be_tuned_further(made: World) -> None:
    first = made.create()
    checkpoint, tuned = made.checkpoint(first, 10), made.tune(first)
    for name, adapter in ((tuned, "adapters/"), (checkpoint, "/step-10")):
        job = made.create(model=name)
        spec = spec_of(made, job)
        assert (spec.base_model, job.model) == ("tiny", name)
        assert spec.start_from is not None
        assert adapter in spec.start_from
        assert not spec.start_from.startswith("/")
