"""`{"type": "tuneward", "reward": {…}}`: every kind of reward that a configuration has, as a grader of a job.

What only an operator may say is refused: files, programs, addresses of judges, and variables of the server's
environment, which would let a caller read its secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from tuneward.config import RewardConfig
from tuneward.config.reward import MAX_RUBRIC
from tuneward.errors import GraderError
from tuneward.jobs.problems import InvalidRequestError
from tuneward.rewards.judge.rubric import parse_rubric, ready_made_rubrics
from tuneward.rewards.openai import InvalidGraderError, validate_grader
from tuneward.rewards.templates import ready_made_templates
from tuneward.types import Json

OPERATORS = ("file", "handler", "connection", "isolation", "memory_mb", "workers")
"""Fields of a grader that a request may not set."""

JUDGE_FIELDS = ("model", "rubric", "rubric_text", "scale", "variables", "votes", "max_tokens", "cache")
ENDPOINT_FIELDS = ("url", "concurrency")


def own_reward(tree: Json, place: str, check_function: Callable[[str, str], None]) -> dict[str, Any]:
    """The section `reward` of a configuration, as it came.

    Args:
        tree: what the request says.
        place: dotted path of it, for messages.
        check_function: raises InvalidRequestError for a function that the caller does not have; gets name and path.

    Raises:
        InvalidRequestError: not a reward, or something that only an operator may set.
    """
    if not isinstance(tree, dict):
        raise InvalidRequestError(f"Invalid type for '{place}': expected an object.", param=place, code="invalid_type")
    _check(tree, place, check_function)
    try:
        RewardConfig.model_validate(tree)
    except ValidationError as error:
        problem = error.errors()[0]
        param = ".".join([place, *map(str, problem["loc"])])
        reason = str(problem["msg"]).removeprefix("Value error, ")
        raise InvalidRequestError(
            f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value"
        ) from None
    return tree


def _check(grader: Mapping[str, Json], place: str, check_function: Callable[[str, str], None]) -> None:
    _only(grader, None, OPERATORS, place)
    template, function, source = grader.get("template"), grader.get("function"), grader.get("openai")
    if template is not None:
        _one_of(template, [known.name for known in ready_made_templates()], f"{place}.template")
    if isinstance(function, str):
        check_function(function, f"{place}.function")
    if source is not None:
        _check_openai(source, f"{place}.openai")
    if isinstance(judge := grader.get("judge"), dict):
        _only(judge, JUDGE_FIELDS, (), f"{place}.judge")
        _one_of(
            judge.get("rubric", "instruction_following"),
            [rubric.name for rubric in ready_made_rubrics()],
            f"{place}.judge.rubric",
        )
        _check_rubric(judge.get("rubric_text"), f"{place}.judge.rubric_text")
    if isinstance(endpoint := grader.get("endpoint"), dict):
        # No headers and no secrets: they would be variables of the server's own environment.
        _only(endpoint, ENDPOINT_FIELDS, (), f"{place}.endpoint")
    compose = grader.get("compose")
    parts = compose.get("parts") if isinstance(compose, dict) else None
    inner = dict(parts) if isinstance(parts, dict) else {}
    for name, part in inner.items():
        if isinstance(part, dict):
            _check(part, f"{place}.compose.parts.{name}", check_function)
    if isinstance(held_out := grader.get("held_out"), dict):
        _check(held_out, f"{place}.held_out", check_function)


def _check_openai(grader: Json, place: str) -> None:
    if not isinstance(grader, dict):
        raise InvalidRequestError(f"Invalid type for '{place}': expected an object.", param=place, code="invalid_type")
    try:
        validate_grader({"grader": grader})
    except (InvalidGraderError, GraderError) as error:
        raise InvalidRequestError(f"{place}: {error}", param=place, code="invalid_value") from None


def _check_rubric(text: Json, place: str) -> None:
    if not isinstance(text, str) or len(text) > MAX_RUBRIC:
        return  # the configuration says what is wrong with it
    try:
        parse_rubric(text, place)
    except GraderError as error:
        raise InvalidRequestError(str(error), param=place, code="invalid_value") from None


def _only(given: Mapping[str, Json], allowed: tuple[str, ...] | None, refused: tuple[str, ...], place: str) -> None:
    for key in given:
        if key in refused or (allowed is not None and key not in allowed):
            param = f"{place}.{key}"
            message = f"'{param}' cannot be set by a request; it is the operator's."
            raise InvalidRequestError(message, param=param, code="unknown_parameter")


def _one_of(name: Json, known: list[str], param: str) -> None:
    if name not in known:
        message = f"Invalid value for '{param}': expected one of {', '.join(known)}."
        raise InvalidRequestError(message, param=param, code="invalid_value")
