"""`graders/run`: the answer of the API in full, as the OpenAI client reads it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from openai.types.fine_tuning.alpha import GraderRunResponse
from tests.rewards.judge.server import ScriptedServer, chat

from tuneward.config.reward import ConnectionConfig
from tuneward.errors import GraderError
from tuneward.rewards.openai import InvalidGraderError, run_grader

CHECK = {"type": "string_check", "name": "exact", "input": "{{sample.output_json.code}}", "reference": "{{item.code}}",
         "operation": "eq"}  # fmt: skip
FLAGS = [
    "formula_parse_error",
    "sample_parse_error",
    "truncated_observation_error",
    "unresponsive_reward_error",
    "invalid_variable_error",
    "other_error",
    "python_grader_server_error",
    "python_grader_runtime_error",
    "model_grader_server_error",
    "model_grader_refusal_error",
    "model_grader_parse_error",
]
DETAILS = [
    "python_grader_server_error_type",
    "python_grader_runtime_error_details",
    "model_grader_server_error_details",
]


def run(grader: Any, text: Any, item: Any = None, **options: Any) -> dict[str, Any]:
    answer = run_grader({"grader": grader, "model_sample": text, "item": item}, **{"isolation": "process", **options})
    # The client's schema has a number for tokens where the service sends an object, which it takes unchecked.
    GraderRunResponse.model_validate({**answer, "metadata": {**answer["metadata"], "token_usage": None}})
    assert math.isfinite(answer["reward"])
    return answer


def raised(answer: dict[str, Any]) -> list[str]:
    errors = answer["metadata"]["errors"]
    assert sorted(errors) == sorted(FLAGS + DETAILS)
    assert all(isinstance(errors[flag], bool) for flag in FLAGS)
    return [flag for flag in FLAGS if errors[flag]]


def python(body: str) -> dict[str, str]:
    return {"type": "python", "source": f"def grade(sample, item):\n    {body}"}


def test_a_local_grader_answers_with_every_field() -> None:
    answer = run(CHECK, '{"code": "E11"}', {"code": "E11"})
    time_s = answer["metadata"].pop("execution_time")
    assert time_s >= 0
    assert raised(answer) == []
    errors = answer["metadata"].pop("errors")
    assert [errors[name] for name in DETAILS] == [None] * 3
    assert answer == {
        "reward": 1.0,
        "metadata": {
            "name": "exact",
            "type": "string_check",
            "scores": {},
            "token_usage": None,
            "sampled_model_name": None,
        },
        "sub_rewards": {},
        "model_grader_token_usage_per_model": {},
    }


def test_a_judge_answers_with_its_tokens() -> None:
    server = ScriptedServer(lambda _: chat('{"steps": [], "result": 0.5}', model="m-1"))
    judge = {"type": "score_model", "name": "j", "model": "m", "input": [{"role": "user", "content": "rate"}]}
    try:
        answer = run(judge, "x", connection=ConnectionConfig(url=server.url))
    finally:
        server.close()
    tokens = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "cached_tokens": 3}
    assert answer["reward"] == 0.5
    assert answer["metadata"]["token_usage"] == tokens
    assert answer["metadata"]["sampled_model_name"] == "m-1"
    assert answer["model_grader_token_usage_per_model"] == {"m-1": tokens}


def test_a_multi_grader_answers_with_its_parts() -> None:
    graders = {"exact": CHECK, "half": python("return 0.5")}
    grader = {"type": "multi", "name": "m", "graders": graders, "calculate_output": "exact + half"}
    answer = run(grader, '{"code": "E11"}', {"code": "E11"})
    assert answer["reward"] == 1.5
    assert answer["sub_rewards"] == answer["metadata"]["scores"] == {"exact": 1.0, "half": 0.5}


@pytest.mark.parametrize(
    ("grader", "text", "item", "flags"),
    [
        (CHECK, "no JSON", {"code": "x"}, ["sample_parse_error"]),
        (CHECK, "{}", {"code": "x"}, ["invalid_variable_error"]),
        (CHECK, '{"code": "x"}', {}, ["invalid_variable_error"]),
        (python("return 'x'"), "", None, ["python_grader_runtime_error"]),
        (python("return 1\nimport no_such_module"), "", None, ["python_grader_runtime_error"]),
        (
            {"type": "multi", "name": "m", "graders": {"a": CHECK}, "calculate_output": "1 / a"},
            '{"code": "y"}',
            {"code": "x"},
            ["formula_parse_error"],
        ),
    ],
)
def test_faults_of_grading_are_flags_and_a_reward_of_zero(
    grader: dict[str, Any], text: str, item: Any, flags: list[str]
) -> None:
    answer = run(grader, text, item)
    assert answer["reward"] == 0
    assert raised(answer) == flags


def test_a_runtime_error_comes_with_its_traceback() -> None:
    answer = run(python("return 1 / 0"), "")
    details = answer["metadata"]["errors"]["python_grader_runtime_error_details"]
    assert "line 2: grade raised ZeroDivisionError" in details
    assert 'File "grader.py", line 2, in grade' in details


def test_a_failed_part_counts_as_zero_in_the_formula() -> None:
    graders = {"good": python("return 1"), "bad": python("return None")}
    grader = {"type": "multi", "name": "m", "graders": graders, "calculate_output": "2 * good + bad"}
    answer = run(grader, "")
    assert answer["reward"] == 2
    assert answer["sub_rewards"] == {"good": 1.0, "bad": 0.0}
    assert raised(answer) == ["python_grader_runtime_error"]


def test_a_failed_part_and_a_formula_without_a_value_are_both_told() -> None:
    grader = {"type": "multi", "name": "m", "graders": {"a": python("return None")}, "calculate_output": "1 / a"}
    assert raised(run(grader, "")) == ["formula_parse_error", "python_grader_runtime_error"]


@pytest.mark.parametrize("reference", ["E11", 5, {"a": 1}, ["x"]])
def test_the_field_of_older_clients_is_the_items_reference_answer(reference: Any) -> None:
    grader = python("return item['reference_answer'] == sample['output_json']")
    text = json.dumps(reference)
    body = {"grader": grader, "model_sample": text, "reference_answer": reference}
    assert run_grader(body, isolation="process")["reward"] == 1


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"grader": {**CHECK, "input": 1}}, "input", "invalid_type"),
        ({"grader": None}, "grader", "invalid_type"),
        ({"model_sample": 5}, "model_sample", "invalid_type"),
        ({"item": "x"}, "item", "invalid_type"),
    ],
)
def test_a_malformed_request_is_refused(change: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidGraderError) as caught:
        run_grader({"grader": CHECK, "model_sample": "x", "item": {}, **change})
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_request_without_a_sample_is_refused() -> None:
    with pytest.raises(InvalidGraderError, match="Missing required parameter: 'model_sample'"):
        run_grader({"grader": CHECK})


def test_a_machine_without_a_sandbox_is_no_fault_of_grading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneward.rewards.sandbox.probe.sandbox_problem", lambda: "no bwrap")
    monkeypatch.delenv("TUNEWARD_ALLOW_UNISOLATED", raising=False)
    with pytest.raises(GraderError, match="no bwrap"):
        run_grader({"grader": python("return 1"), "model_sample": "x"})


def test_what_is_missing_here_is_no_fault_of_grading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    judge = {"type": "score_model", "name": "j", "model": "m", "input": [{"role": "user", "content": "rate"}]}
    with pytest.raises(GraderError, match="OPENAI_API_KEY"):
        run_grader({"grader": judge, "model_sample": "x"}, connection=ConnectionConfig(url="https://judge.example/v1"))
