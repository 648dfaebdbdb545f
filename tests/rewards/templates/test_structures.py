"""json_schema, format_constraints and tool_call: structure in the answer, with partial credit."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from tests.rewards.templates.conftest import Answer, json_lines

Score = Callable[..., float]

PERSON = {
    "schema": {
        "type": "object",
        "required": ["name", "age"],
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "additionalProperties": False,
    },
    "value": {"name": "Ada", "age": 36},
}


def test_better_json_earns_more(score: Score) -> None:
    ladder = [
        "no JSON",
        "null",
        "{}",
        '{"name": "Ada"}',
        '{"name": "Ada", "age": 36, "city": "London"}',
        'Here it is: {"name": "Ada", "age": 36}',
        '```json\n{"age": 36.0, "name": " Ada "}\n```',
    ]
    scores = [score("json_schema", PERSON, text) for text in ladder]
    assert scores == sorted(set(scores)), scores
    assert (scores[0], scores[-1]) == (0, 1)


def test_types_matter_in_json_values(score: Score) -> None:
    for value, other in ((36, "36"), (1, True), (0, False), (None, "null"), ([1, 2], [2, 1]), ({}, [])):
        assert score("json_schema", {"value": {"a": value}}, json.dumps({"a": value})) == 1
        assert score("json_schema", {"value": {"a": value}}, json.dumps({"a": other})) < 0.5


def test_a_schema_may_stand_in_the_row_or_be_text_and_a_value_may_stand_alone(score: Score) -> None:
    assert score("json_schema", None, '{"name": "x", "age": 1}', schema=PERSON["schema"]) == 1
    assert score("json_schema", {"text": json.dumps(PERSON)}, '{"name": "Ada", "age": 36}') == 1
    assert score("json_schema", {"a": {"b": [1, 2]}}, '{"a": {"b": [1, 2]}}') == 1
    assert score("json_schema", {"a": 1}, '{"a": NaN}') == 0


def test_a_schema_is_never_fetched(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: opened.append(address))
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, *_, **__: opened.append(url))
    for target in ("http://127.0.0.1:1/schema.json", "file:///etc/hostname", "#/nowhere", "#"):
        entry = answer("json_schema", {"schema": {"$ref": target}}, '{"a": 1}')
        assert "aggregate_reward_score" not in entry
        assert "schema cannot be applied" in entry["error"]
    assert not opened


NOTE = {
    "max_words": 20,
    "required_sections": ["Cause", "Remedy"],
    "forbidden_phrases": ["as an AI"],
    "must_match": [r"\d"],
}


@pytest.mark.parametrize(
    "text",
    ["# Cause\nA 5 V cable.\n\n## Remedy\nA new one.", "**Cause:** cable 5\n**Remedy**: new", "cause: 5\nREMEDY\nnew"],
)
def test_sections_are_found_however_they_are_headed(score: Score, text: str) -> None:
    assert score("format_constraints", NOTE, text) == 1


def test_each_constraint_that_is_missed_costs(score: Score) -> None:
    good = "# Cause\nA 5 V cable.\n# Remedy\nA new one."
    for worse in (
        good.replace("5", "five"),
        good.replace("# Remedy", "Then"),
        good.replace("A new one.", ""),
        good + " I say this as an\u200b AI.",
        good + " word" * 20,
        "# Remedy\nA new 5.\n# Cause\nA cable.",
        "Cause of it: a cable.\n# Remedy\nA 5.",
    ):
        assert score("format_constraints", NOTE, worse) < 1, worse
    assert score("format_constraints", {"forbidden_phrases": ["x"]}, "") == 0
    near, far = (score("format_constraints", {"max_words": 20}, "word " * count) for count in (22, 40))
    assert 0 == far < near < 1


WEATHER = {"name": "get_weather", "arguments": {"city": "Oslo", "unit": "celsius", "days": 5}}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(WEATHER),
        json.dumps([WEATHER]),
        json.dumps({"tool_calls": [{"function": {**WEATHER, "arguments": json.dumps(WEATHER["arguments"])}}]}),
        f"I will look.\n<tool_call>\n{json.dumps(WEATHER)}\n</tool_call>",
        f"```json\n{json.dumps(WEATHER)}\n```",
        'get_weather(city="oslo", unit="Celsius", days=5.0)',
        "[get_weather(days=5, city='Oslo', unit='celsius')]",
    ],
)
def test_a_right_call_counts_in_every_form(score: Score, text: str) -> None:
    assert score("tool_call", WEATHER, text) == 1
    assert score("tool_call", 'get_weather(city="Oslo", unit="celsius", days=5)', text) == 1


def test_a_better_call_earns_more(score: Score) -> None:
    ladder = [
        "get_news(city='Oslo', unit='celsius', days=5)",
        "get_weather(town='Oslo')",
        "get_weather(city='Bergen')",
        "get_weather(city='Oslo', unit='celsius')",
        "get_weather(city='Oslo', unit='celsius', days='5')",
        "get_weather(city='Oslo', unit='celsius', days=5)",
    ]
    scores = [score("tool_call", WEATHER, text) for text in ladder]
    assert scores == sorted(set(scores)), scores
    assert (scores[0], scores[-1]) == (0, 1)
    assert score("tool_call", WEATHER, f"[{', '.join([ladder[-1]] * 4)}]") == 0.25


def test_parallel_calls_count_in_any_order_and_words_are_right_when_no_call_is(score: Score) -> None:
    assert score("tool_call", ["f(a=1)", "f(a=2)"], "[f(a=2), f(a=1)]") == 1
    assert score("tool_call", ["f(a=1)", "f(a=2)"], "f(a=2)") == 0.5
    assert score("tool_call", [], "I cannot help with that.") == 1
    assert score("tool_call", [], "f(a=1)") == 0
    assert score("tool_call", [], "") == 0


def first_accepted(value: Any) -> Any:
    """An answer the leaderboard accepts: the first value of each list, optional arguments left out."""
    if isinstance(value, dict):
        return {key: first_accepted(item[0]) for key, item in value.items() if "" not in item}
    return [first_accepted(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["simple_python", "multiple"])
def test_accepted_calls_of_the_berkeley_leaderboard_earn_all(score: Score, name: str) -> None:
    rows = json_lines("bfcl", "possible_answer", f"BFCL_v4_{name}.json")
    questions = json_lines("bfcl", f"BFCL_v4_{name}.json")
    assert len(rows) == len(questions) >= 200
    for row, question in zip(rows, questions, strict=True):
        (call,) = row["ground_truth"]
        ((function, accepted),) = call.items()
        arguments = first_accepted(accepted)
        spelled = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        for text in (json.dumps({"name": function, "arguments": arguments}), f"[{function}({spelled})]"):
            assert score("tool_call", row["ground_truth"], text) == 1, text
            assert score("tool_call", None, text, ground_truth=row["ground_truth"]) == 1
        assert score("tool_call", row["ground_truth"], f"{function}_x({spelled})") == 0
        assert score("tool_call", row["ground_truth"], f"{function}({spelled}, surprise=1)") < 1
        asked = question["question"][0][0]["content"]
        if "(" not in asked:  # Some questions are calls themselves.
            assert score("tool_call", row["ground_truth"], asked) == 0
