"""Whatever a body or an address holds, the answer is an object or a refusal in the documented form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.serve.job_rows import ALIKE, EXACT, MULTI, World, reinforcement, world

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["", "auto", "null", "\0", "\ud800", "é" * 100, "ft:a:b", "tiny", "../.."]
)
NUMBERS = (
    st.integers() | st.floats() | st.sampled_from([0, -1, 2**31, 2**63, 10**40, 1e308, float("nan"), float("inf")])
)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
NAMES = st.sampled_from([
    "model", "training_file", "validation_file", "method", "hyperparameters", "suffix", "seed", "metadata",
    "integrations", "tuneward", "type", "reinforcement", "supervised", "dpo", "grader", "graders", "response_format",
    "json_schema", "schema", "name", "n_epochs", "batch_size", "calculate_output", "wandb", "training", "reward",
    "lambda", "function", "$ref", "$schema", "pattern",
])  # fmt: skip
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXTS, inner, max_size=4), max_leaves=8
)
FIELDS = (
    "model", "training_file", "validation_file", "method", "hyperparameters", "suffix", "seed", "metadata",
    "integrations", "tuneward",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("fuzz")) as server:
        yield server


WIRE = httpx.Client(trust_env=False)


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def damaged(body: Any, place: int, value: Any) -> Any:
    """The body with its nth value replaced by another."""
    count = 0

    def visit(node: Any) -> Any:
        nonlocal count
        count += 1
        if count == place:
            return value
        if isinstance(node, dict):
            return {key: visit(inner) for key, inner in node.items()}
        return [visit(inner) for inner in node] if isinstance(node, list) else node

    return visit(body)


SETTINGS = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(place=st.integers(2, 45), value=JSON)
def test_a_body_with_anything_in_one_place_never_breaks_the_server(made: World, place: int, value: Any) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": {"type": "object"}}}
    method = reinforcement(MULTI, response_format=schema, hyperparameters={"n_epochs": 1, "batch_size": "auto"})
    wandb = {"type": "wandb", "wandb": {"project": "p", "tags": ["t"]}}
    body = {
        "model": "tiny", "training_file": made.train, "method": method, "metadata": {"k": "v"}, "seed": 1,
        "suffix": "s", "integrations": [wandb], "tuneward": {"training": {"max_steps": 2}},
    }  # fmt: skip
    post(made, damaged(body, place, value))


@SETTINGS
@given(
    body=JSON
    | st.fixed_dictionaries({"model": TEXTS, "training_file": TEXTS}, optional=dict.fromkeys(FIELDS[2:], JSON))
)
def test_any_body_never_breaks_the_server(made: World, body: Any) -> None:
    post(made, body)


def post(made: World, body: Any) -> None:
    text = json.dumps(body)  # as it is: with NaN, and halves of surrogate pairs as escapes
    url = f"{made.url}/v1/fine_tuning/jobs"
    answer = WIRE.post(url, content=text, headers={"content-type": "application/json"})
    check(answer)
    if answer.status_code == 200:
        job = answer.json()["id"]
        check(WIRE.get(f"{url}/{job}"))
        check(WIRE.get(f"{url}/{job}/events"))
        check(WIRE.post(f"{url}/{job}/cancel"))


@settings(SETTINGS, max_examples=25)
@given(name=TEXTS, query=st.dictionaries(st.sampled_from(["limit", "after", "metadata", "order", "metadata[k]"]) | TEXTS, TEXTS, max_size=3))  # fmt: skip # noqa: E501
def test_any_address_never_breaks_the_server(made: World, name: str, query: dict[str, str]) -> None:
    def plain(text: str) -> str:
        return quote(text.encode(errors="replace"), safe="")

    asked = "&".join(f"{plain(key)}={plain(value)}" for key, value in query.items())
    for path in ("jobs", f"jobs/{plain(name)}", f"jobs/{plain(name)}/events", f"checkpoints/{plain(name)}/permissions"):
        check(WIRE.get(f"{made.url}/v1/fine_tuning/{path}?{asked}"))


@pytest.mark.parametrize("text", ["", "[1]", '"x"', "{", "null", "[" * 5000, '{"seed": ' + "9" * 5000 + "}"])
def test_bodies_that_are_no_objects_are_refused(made: World, text: str) -> None:
    answer = WIRE.post(f"{made.url}/v1/fine_tuning/jobs", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    check(answer)


def test_the_graders_of_the_fuzzer_are_sound(made: World) -> None:
    for grader in (EXACT, ALIKE, MULTI):
        assert made.create(method=reinforcement(grader)).id
