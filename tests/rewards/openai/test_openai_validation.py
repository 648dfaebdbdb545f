"""Grader objects: what is accepted, the normalised echo, and errors that name the field."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneward.rewards.openai import InvalidGraderError, echo, parse_grader, validate_grader

CHECK = {"type": "string_check", "name": "exact", "input": "{{sample.output_text}}", "reference": "{{item.code}}",
         "operation": "eq"}  # fmt: skip
SIMILARITY = {"type": "text_similarity", "name": "prose", "input": "{{sample.output_text}}",
              "reference": "{{item.why}}", "evaluation_metric": "rouge_l"}  # fmt: skip
SCORE = {"type": "score_model", "name": "judge", "model": "gpt-4o-2024-08-06",
         "input": [{"role": "user", "content": "Score {{sample.output_text}}"}]}  # fmt: skip
LABEL = {**SCORE, "type": "label_model", "labels": ["good", "bad"], "passing_labels": ["good"]}
PYTHON = {"type": "python", "name": "closeness", "source": "def grade(sample, item):\n    return 1.0\n"}
MULTI = {"type": "multi", "name": "both", "graders": {"exact": CHECK, "prose": SIMILARITY},
         "calculate_output": "0.7 * exact + 0.3 * prose"}  # fmt: skip


def refusal(grader: Any) -> InvalidGraderError:
    with pytest.raises(InvalidGraderError) as caught:
        parse_grader(grader)
    return caught.value


@pytest.mark.parametrize("grader", [CHECK, SIMILARITY, LABEL, PYTHON, MULTI], ids=lambda grader: str(grader["type"]))
def test_a_whole_grader_comes_back_as_it_was(grader: dict[str, Any]) -> None:
    assert validate_grader({"grader": grader}) == {"grader": grader}


def test_the_echo_is_normalised() -> None:
    assert echo(parse_grader({**CHECK, "operation": "neq"}))["operation"] == "ne"
    assert echo(parse_grader(SCORE))["range"] == [0.0, 1.0]
    assert echo(parse_grader({**SCORE, "range": None, "pass_threshold": None})) == echo(parse_grader(SCORE))
    listed = echo(parse_grader({**MULTI, "graders": [CHECK, SIMILARITY]}))
    assert listed == MULTI


def test_the_echo_is_a_grader_again() -> None:
    for grader in (CHECK, SIMILARITY, SCORE, LABEL, PYTHON, MULTI):
        once = echo(parse_grader(grader))
        assert echo(parse_grader(once)) == once


def test_a_python_grader_needs_no_name() -> None:
    unnamed = {"type": "python", "source": PYTHON["source"]}
    assert parse_grader(unnamed).name == "python"
    multi = echo(parse_grader({**MULTI, "graders": {"mine": unnamed}, "calculate_output": "mine"}))
    assert multi["graders"]["mine"]["name"] == "mine"


def test_fields_of_published_examples_are_taken() -> None:
    parse_grader({**PYTHON, "image_tag": "alpha", "pass_threshold": 0.5})
    parse_grader({**SIMILARITY, "pass_threshold": 0.8})
    params = {"seed": 1, "temperature": None, "top_p": 0.9, "max_completions_tokens": 64, "reasoning_effort": "low"}
    content = [{"type": "input_text", "text": "{{item.x}}"}, {"type": "output_text", "text": "b"}]
    parse_grader(
        {
            **SCORE,
            "sampling_params": params,
            "input": [{"role": "developer", "type": "message", "content": content}],
        }
    )


def test_one_grader_in_place_of_a_map_is_refused_in_the_documented_words() -> None:
    for lone in (CHECK, SIMILARITY):
        error = refusal({**MULTI, "graders": lone})
        expected = "Invalid type for 'graders.input': expected an object, but got a string instead."
        assert str(error).startswith(expected)
        assert (error.param, error.code) == ("graders.input", "invalid_type")


@pytest.mark.parametrize(
    ("grader", "param", "code", "text"),
    [
        ("x", "grader", "invalid_type", "'grader': expected an object, but got a string"),
        ({}, "type", "missing_required_parameter", "'type'"),
        ({"type": 1}, "type", "invalid_type", "expected a string, but got an integer"),
        ({"type": "regex"}, "type", "invalid_value", "'string_check', 'text_similarity'"),
        ({"type": "endpoint", "url": "https://x"}, "type", "invalid_value", "reward.endpoint"),
        ({**CHECK, "name": None}, "name", "invalid_type", "expected a string, but got null"),
        ({**CHECK, "name": ""}, "name", "invalid_value", "at least 1 character"),
        ({**PYTHON, "source": "def grade(s, i, *, strict): ..."}, "source", "invalid_value", "two arguments"),
        ({**CHECK, "input": ["x"]}, "input", "invalid_type", "expected a string, but got an array"),
        ({**CHECK, "operation": "contains"}, "operation", "invalid_value", "'eq', 'ne', 'like', 'ilike'"),
        ({**CHECK, "refrence": "x"}, "refrence", "unknown_parameter", 'did you mean "reference"'),
        ({**CHECK, "input": "{{ response }}"}, "input", "invalid_value", "neither item nor sample"),
        ({**CHECK, "pass_threshold": "1"}, "pass_threshold", "invalid_type", "expected a number"),
        ({**SIMILARITY, "evaluation_metric": "rouge_6"}, "evaluation_metric", "invalid_value", "'rouge_5'"),
        ({**SCORE, "model": ""}, "model", "invalid_value", "at least 1 character"),
        ({**SCORE, "input": "x"}, "input", "invalid_type", "expected an array"),
        ({**SCORE, "input": []}, "input", "invalid_value", "expected at least 1"),
        ({**SCORE, "input": [{"role": "tool", "content": "x"}]}, "input[0].role", "invalid_value", "'user'"),
        ({**SCORE, "input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter", ""),
        ({**SCORE, "input": [{"role": "user", "content": 1}]}, "input[0].content", "invalid_value", "text part"),
        (
            {**SCORE, "input": [{"role": "user", "content": "{{x.y}}"}]},
            "input[0].content",
            "invalid_value",
            "neither item nor sample",
        ),
        (
            {**SCORE, "input": [{"role": "user", "content": [{"type": "input_text", "text": "{{x}}"}]}]},
            "input[0].content[0].text",
            "invalid_value",
            "neither item nor sample",
        ),
        (
            {**SCORE, "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "u"}]}]},
            "input[0].content",
            "invalid_value",
            "input_image",
        ),
        ({**SCORE, "range": [1, 0]}, "range", "invalid_value", "below the second"),
        ({**SCORE, "range": [0]}, "range", "invalid_value", "at least 2"),
        ({**SCORE, "range": [0, "1"]}, "range[1]", "invalid_type", "expected a number"),
        ({**SCORE, "sampling_params": {"top_p": 2}}, "sampling_params.top_p", "invalid_value", "less than"),
        (
            {**SCORE, "sampling_params": {"max_tokens": 9}},
            "sampling_params.max_tokens",
            "unknown_parameter",
            "",
        ),
        ({**LABEL, "passing_labels": ["fine"]}, "passing_labels", "invalid_value", '"fine" is not one of labels'),
        ({**LABEL, "passing_labels": []}, "passing_labels", "invalid_value", "at least 1"),
        ({**LABEL, "labels": ["good", "good"]}, "labels", "invalid_value", "twice"),
        ({**PYTHON, "source": "def grade(sample, item:"}, "source", "invalid_value", "line 1 is not Python"),
        ({**PYTHON, "source": "def score(sample, item): ..."}, "source", "invalid_value", "does not define grade"),
        ({**PYTHON, "source": "class A:\n def grade(s, i): ..."}, "source", "invalid_value", "does not define grade"),
        ({**PYTHON, "source": "def grade(sample): ..."}, "source", "invalid_value", "two arguments"),
        ({**PYTHON, "source": "async def grade(s, i): ..."}, "source", "invalid_value", "async"),
        ({**PYTHON, "source": PYTHON["source"] + "#" * (256 << 10)}, "source", "invalid_value", "bytes"),
        ({**MULTI, "graders": {}}, "graders", "invalid_value", "at least 1"),
        ({**MULTI, "graders": "x"}, "graders", "invalid_type", "expected an object, but got a string"),
        ({**MULTI, "graders": {"exact": 1}}, "graders.exact", "invalid_type", "expected an object"),
        ({**MULTI, "graders": {"a-b": CHECK}}, "graders.a-b", "invalid_value", "cannot stand in a formula"),
        ({**MULTI, "graders": [CHECK, CHECK]}, "graders[1].name", "invalid_value", 'two graders are named "exact"'),
        (
            {**MULTI, "graders": [{"type": "python", "source": ""}]},
            "graders[0].name",
            "missing_required_parameter",
            "",
        ),
        (
            {**MULTI, "graders": {"exact": {**CHECK, "operation": "is"}}},
            "graders.exact.operation",
            "invalid_value",
            "'eq'",
        ),
        ({**MULTI, "graders": {"exact": MULTI}}, "graders.exact.type", "invalid_value", "no other multi grader"),
        ({**MULTI, "calculate_output": "exact +"}, "calculate_output", "invalid_value", "cannot be read: it ends"),
        ({**MULTI, "calculate_output": "exact + pros"}, "calculate_output", "invalid_value", '"pros" is not a grader'),
    ],
)
def test_a_wrong_field_is_named(grader: Any, param: str, code: str, text: str) -> None:
    error = refusal(grader)
    assert (error.param, error.code) == (param, code)
    assert text in str(error)
    assert str(error).endswith((".", "?"))
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "source",
    [
        "grade = lambda sample, item: 1.0",
        "from math import hypot as grade",
        "try:\n    import numpy\nexcept ImportError:\n    pass\nelse:\n    def grade(sample, item): return 1",
        "def grade(*anything): return 1",
        "def grade(sample, item, strict=False): return 1",
        "if 0:\n    pass\n" + "elif 0:\n    pass\n" * 300 + "def grade(sample, item): return 1",
    ],
)
def test_grade_may_be_defined_in_any_way(source: str) -> None:
    parse_grader({**PYTHON, "source": source})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["{{item.x}}", "eq"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([CHECK, SIMILARITY, SCORE, LABEL, PYTHON, MULTI]), st.data())
def test_any_value_in_any_field_is_taken_or_refused_by_name(grader: dict[str, Any], data: st.DataObject) -> None:
    field = data.draw(st.sampled_from([*grader, "sampling_params"]))
    changed = {**grader, field: data.draw(JSON)}
    with contextlib.suppress(InvalidGraderError):
        assert echo(parse_grader(changed))["name"]


def test_a_request_without_a_grader_is_refused() -> None:
    with pytest.raises(InvalidGraderError, match="Missing required parameter: 'grader'"):
        validate_grader({})
