"""Faults of graders as shares of the samples, in the records of a run."""

from __future__ import annotations

from tests.rewards.openai.conftest import Grade

from tuneward.rl.measure import fault_shares

CODE = {"type": "string_check", "name": "code", "operation": "eq",
        "input": "{{sample.output_json.code}}", "reference": "{{item.code}}"}  # fmt: skip
TEXT = {"type": "string_check", "name": "text", "operation": "eq",
        "input": "{{sample.output_text}}", "reference": "{{item.code}}"}  # fmt: skip
ANSWERS = ('{"code": "E11"}', "no JSON", "none either", '{"why": "?"}')


def test_a_grader_s_faults_are_shares_by_kind(grade: Grade) -> None:
    scores = grade(CODE, *ANSWERS, item={"code": "E11"})
    assert fault_shares(scores) == {"fault/invalid_variable_error": 0.25, "fault/sample_parse_error": 0.5}
    assert fault_shares(scores[:1]) == {}


def test_faults_of_parts_are_told_apart(grade: Grade) -> None:
    parts = {"code": CODE, "text": TEXT, "again": CODE}
    multi = {"type": "multi", "name": "both", "graders": parts, "calculate_output": "(code + text + again) / text"}
    scores = grade(multi, *ANSWERS, item={"code": "E11"})
    assert fault_shares(scores) == {
        "fault/again/invalid_variable_error": 0.25,
        "fault/again/sample_parse_error": 0.5,
        "fault/code/invalid_variable_error": 0.25,
        "fault/code/sample_parse_error": 0.5,
        "fault/formula_parse_error": 1.0,  # a division by 0
    }
