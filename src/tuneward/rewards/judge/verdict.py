"""The verdict of a judge: its JSON schema, reading it strictly, and the reward that follows from it."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuneward.rewards.judge.rubric import Criterion, Header, Scale
from tuneward.types import Json

_END_OF_THOUGHTS = "</think>"
_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*)\n```\Z", re.DOTALL)


class UnreadableError(Exception):
    """The judge's answer is no verdict; the text says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the judge said, on its own scales."""

    reasoning: str
    criteria: Mapping[str, bool | float]
    score: float


def verdict_schema(header: Header) -> dict[str, Json]:
    """The JSON schema of a verdict, reasons first so that they come before what follows from them."""
    properties: dict[str, Json] = {"reasoning": {"type": "string"}}
    if header.criteria:
        kinds = {
            name: {"type": "boolean" if criterion.scale is None else "number"}
            for name, criterion in header.criteria.items()
        }
        properties["criteria"] = _strict_object(kinds)
    properties["score"] = {"type": "number"}
    return _strict_object(properties)


def read_judgement(text: str, header: Header) -> Judgement:
    """A judge's answer, which must be one JSON object and nothing else, a code fence and thoughts before it aside.

    JSON amid other text is not looked for: it may be quoted from the completion.

    Raises:
        UnreadableError: it is something else, lacks a value, or has one of another type.
    """
    answer = _load(text)
    if not isinstance(answer, dict):
        raise UnreadableError("it is no JSON object")
    reasoning = answer.get("reasoning")
    if not isinstance(reasoning, str):
        raise UnreadableError('"reasoning" is missing or no text')
    score = _number(answer.get("score"))
    if score is None:
        raise UnreadableError('"score" is missing or no finite number')
    criteria: dict[str, bool | float] = {}
    given = answer.get("criteria", {})
    if not isinstance(given, dict):
        raise UnreadableError('"criteria" is no object')
    for name, criterion in header.criteria.items():
        value = given.get(name)
        decided = _number(value) if criterion.scale else value if isinstance(value, bool) else None
        if decided is None:
            wanted = "a finite number" if criterion.scale else "true or false"
            raise UnreadableError(f'criterion "{name}" is missing or not {wanted}')
        criteria[name] = decided
    return Judgement(reasoning, criteria, score)


def on_scale(value: float, scale: Scale) -> float:
    """The value mapped so that the scale becomes 0 to 1, and cut to that."""
    low, high = scale
    return min(1.0, max(0.0, (value - low) / (high - low)))


def reward_of(judgement: Judgement, header: Header, scale: Scale) -> float:
    """The reward, 0 to 1: the judge's score on its scale, or the weighted share of criteria that are met."""
    if header.score_from == "judge":
        return on_scale(judgement.score, scale)
    total = earned = 0.0
    for name, criterion in header.criteria.items():
        value = criterion_value(judgement.criteria[name], criterion)
        if criterion.is_essential and value == 0.0:
            return 0.0
        total += criterion.weight
        earned += criterion.weight * value
    return earned / total


def criterion_value(value: bool | float, criterion: Criterion) -> float:
    """A criterion's value, 0 to 1."""
    return on_scale(value, criterion.scale or (0.0, 1.0))


def _strict_object(properties: dict[str, Json]) -> dict[str, Json]:
    """Source: OpenAI contract, structured outputs: every property required, no others."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _load(text: str) -> Json:
    for part in (text, text.rpartition(_END_OF_THOUGHTS)[2]):
        part = part.strip()
        fenced = _FENCE.match(part)
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(fenced[1] if fenced else part, object_pairs_hook=_once)
    raise UnreadableError("it is not one JSON object")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise UnreadableError("it names a value twice")
    return tree


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
