"""What the service answers to `graders/validate` and `graders/run`. Source: OpenAI grader contract, 5.11 and 5.12."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from tuneward.config import GraderConfig
from tuneward.config.reward import ConnectionConfig
from tuneward.rewards.openai.assemble import Assembly
from tuneward.rewards.openai.case import case_of_text
from tuneward.rewards.openai.outcome import FaultError, Outcome, Usage, all_errors, faulty, settle
from tuneward.rewards.openai.parse import echo, missing, parse_grader, wrong_type
from tuneward.rewards.openai.python_grader import PythonLoadError
from tuneward.rewards.openai.spec import GraderSpec
from tuneward.types import Json, Verdict


def validate_grader(body: Mapping[str, Json]) -> dict[str, Json]:
    """The answer to a request to validate: the grader in its normalised form.

    Raises:
        InvalidGraderError: what is wrong with it; becomes an error 400 with its `param` and `code`.
    """
    return {"grader": echo(_grader(body))}


def run_grader(
    body: Mapping[str, Json],
    *,
    connection: ConnectionConfig | None = None,
    isolation: Literal["process", "sandbox"] | None = None,
) -> dict[str, Json]:
    """The answer to a request to run a grader on one answer. Faults of grading are flags and a reward of 0.

    Args:
        body: `grader`, `model_sample`, and `item`, or `reference_answer` as older clients send it.
        connection: how judges are reached.
        isolation: of Python graders, as in `GraderConfig`.

    Raises:
        InvalidGraderError: the request is malformed.
        GraderError: a package, data or a key that the grader needs is missing here.
    """
    spec = _grader(body)
    if "model_sample" not in body:
        raise missing("model_sample")
    text, item = body["model_sample"], body.get("item")
    if not isinstance(text, str):
        raise wrong_type("model_sample", "a string", text)
    if item is None:
        item = {"reference_answer": body["reference_answer"]} if body.get("reference_answer") is not None else {}
    if not isinstance(item, dict):
        raise wrong_type("item", "an object", item)
    config = GraderConfig(
        openai=body["grader"], connection=connection or ConnectionConfig(), isolation=isolation, retries=1
    )
    started = time.monotonic()
    try:
        assembly = Assembly(spec, config)
    except PythonLoadError as error:
        details = {"python_grader_runtime_error_details": str(error)}
        fault = FaultError("python_grader_runtime_error", str(error), verdict=Verdict.ERROR, details=details)
        return _answer(spec, faulty(fault), time.monotonic() - started)
    try:
        started = time.monotonic()
        outcome = settle(assembly.evaluator.start(case_of_text("run", text, item)))
        return _answer(spec, outcome, time.monotonic() - started)
    finally:
        assembly.close()


def _grader(body: Mapping[str, Json]) -> GraderSpec:
    if "grader" not in body:
        raise missing("grader")
    return parse_grader(body["grader"])


def _answer(spec: GraderSpec, outcome: Outcome, wall_s: float) -> dict[str, Json]:
    total = sum(outcome.usage.values(), Usage()).as_json() if outcome.usage else None
    parts = {name: part.reported for name, part in outcome.parts.items()}
    return {
        "reward": outcome.reported,
        "metadata": {
            "name": spec.name,
            "type": spec.type,
            "errors": all_errors(outcome.errors),
            "execution_time": wall_s,
            "scores": parts,
            "token_usage": total,
            "sampled_model_name": next(iter(outcome.usage), None),
        },
        "sub_rewards": parts,
        "model_grader_token_usage_per_model": {model: usage.as_json() for model, usage in outcome.usage.items()},
    }
