"""What grading one answer brought: a reward, or a fault with its flag. Source: OpenAI grader contract, 5.12."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from tuneward.rewards.openai.case import Case
from tuneward.rewards.process import Call
from tuneward.types import Json, Verdict

NO_ERRORS: Mapping[str, bool | None] = {
    "formula_parse_error": False,
    "sample_parse_error": False,
    "truncated_observation_error": False,
    "unresponsive_reward_error": False,
    "invalid_variable_error": False,
    "other_error": False,
    "python_grader_server_error": False,
    "python_grader_server_error_type": None,
    "python_grader_runtime_error": False,
    "python_grader_runtime_error_details": None,
    "model_grader_server_error": False,
    "model_grader_refusal_error": False,
    "model_grader_parse_error": False,
    "model_grader_server_error_details": None,
}
"""Every error field of an answer of the API; clients require all of them."""


class FaultError(Exception):
    """Why an answer could not be graded as meant.

    Args:
        flag: the field of NO_ERRORS that it raises.
        message: one sentence.
        is_of_sample: the model's answer is at fault, which is a real reward of 0; otherwise the grader or the row is.
        verdict: of the failed score, when the grader or the row is at fault.
        details: further error fields.
    """

    def __init__(
        self,
        flag: str,
        message: str,
        *,
        is_of_sample: bool = False,
        verdict: Verdict = Verdict.INVALID,
        details: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.errors: dict[str, Json] = {flag: True, **(details or {})}
        self.verdict = Verdict.OK if is_of_sample else verdict


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that judges used for one answer, all tries together."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    calls: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.calls + other.calls,
        )

    def as_json(self) -> dict[str, int]:
        """The four counts of the API."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "cached_tokens": self.cached_tokens,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one answer fared with one grader."""

    reward: float
    """NaN when the grader or the row is at fault."""
    verdict: Verdict = Verdict.OK
    message: str = ""
    """One sentence when something was at fault, the answer included."""
    errors: Mapping[str, Json] = field(default_factory=dict)
    """The fields of NO_ERRORS that were raised."""
    api_reward: float = 0.0
    """What the API reports when `reward` is NaN."""
    parts: Mapping[str, Outcome] = field(default_factory=dict)
    """Of a `multi` grader: its graders' outcomes by name."""
    usage: Mapping[str, Usage] = field(default_factory=dict)
    """Tokens by judge model."""
    reasons: Json = None
    """What a judge said beside its number or label."""
    attempts: int = 1
    """Calls made for this answer."""
    wall_s: float = 0.0
    call: Call | None = None
    """What the process of a `python` grader used and printed."""

    @property
    def reported(self) -> float:
        """The reward as the API reports it: a fault is never NaN there."""
        return self.api_reward if math.isnan(self.reward) else self.reward


def faulty(fault: FaultError) -> Outcome:
    """The outcome of a fault: 0 when the answer is to blame, a failed score otherwise."""
    reward = 0.0 if fault.verdict is Verdict.OK else math.nan
    return Outcome(reward, fault.verdict, fault.message, fault.errors)


def all_errors(errors: Mapping[str, Json]) -> dict[str, Json]:
    """Every error field of the API, with those raised."""
    return {**NO_ERRORS, **errors}


def union(errors: Iterable[Mapping[str, Json]]) -> dict[str, Json]:
    """The error fields of several graders as one; of details, the first count."""
    together: dict[str, Json] = {}
    for raised in errors:
        together = {**raised, **together}
    return together


Wait: TypeAlias = Callable[[], Outcome]
"""Waits for an outcome that is being worked on."""


def settle(wait: Wait) -> Outcome:
    """The outcome; an error that nobody foresaw costs this answer its grading, not others theirs."""
    try:
        return _storable(wait())
    except Exception as error:
        message = f"Grading ended with {type(error).__name__}: {str(error).rstrip('.')}."
        return _storable(faulty(FaultError("other_error", message, verdict=Verdict.ERROR)))


def _storable(outcome: Outcome) -> Outcome:
    """With texts that any file can hold: answers may bring half of a surrogate pair, which UTF-8 cannot."""
    texts = [outcome.message, dict(outcome.errors), outcome.reasons]
    message, errors, reasons = json.loads(json.dumps(texts, ensure_ascii=False).encode(errors="replace"))
    return replace(outcome, message=message, errors=errors, reasons=reasons)


class Evaluator(Protocol):
    """One grader, ready to grade; thread-safe."""

    @property
    def isolation(self) -> str:
        """As in `Receipt.isolation`."""
        ...

    @property
    def limits(self) -> Mapping[str, float]: ...

    def start(self, case: Case) -> Wait:
        """Begin to grade; work of many cases goes on at the same time until their outcomes are asked for."""
        ...

    def close(self) -> None: ...
