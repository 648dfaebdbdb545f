"""What goes into the serving engine and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tuneward.errors import EngineError
from tuneward.types import FinishReason

if TYPE_CHECKING:  # a server knows these words before it loads torch
    from tuneward.engine.serving.adapters import Adapter
    from tuneward.engine.serving.grammar import Grammar


class QueueFullError(EngineError):
    """As many requests wait as may; try again later."""

    def __init__(self, waiting: int, retry_after_s: int):
        super().__init__(f"{waiting} requests wait already; try again in about {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class RequestTooLongError(EngineError):
    """The prompt leaves no room for an answer."""


@dataclass(frozen=True, slots=True)
class ServingRequest:
    """One prompt and how its answers are drawn."""

    prompt: tuple[int, ...]
    max_tokens: int | None = None
    """Most tokens of an answer; None, or more than fit, is as many as the context leaves."""
    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int | None = None
    """Only so many likeliest tokens may come; None is all."""
    seed: int | None = None
    """Same seed, same answers; None draws one."""
    stop: tuple[str, ...] = ()
    """Texts that end an answer and are no part of it."""
    n: int = 1
    """Answers."""
    top_logprobs: int | None = None
    """None: no log-probs; otherwise so many alternatives for each token, besides the token's own."""
    frequency_penalty: float = 0.0
    """Taken from a token's logit for each time the answer has it already."""
    presence_penalty: float = 0.0
    """Taken from a token's logit when the answer has it already."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    """Added to the logits of tokens."""
    grammar: Grammar | None = None
    """What the answer must be; None is any text."""
    adapter: Adapter | None = None
    """None is the base model."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token, its log-prob at temperature 1 before any filter, and the likeliest tokens at its place."""

    text: str
    data: bytes
    """The token's own bytes; not always whole characters."""
    logprob: float
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """More of one answer. Texts end between characters, and never contain a part of a stop string."""

    choice: int
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ChoiceEnd:
    """One answer has ended."""

    choice: int
    finish_reason: FinishReason
    stopped_by: str | None = None
    """The text of `ServingRequest.stop` that was met; None: it ended otherwise."""


@dataclass(frozen=True, slots=True)
class Done:
    """The last event of a request that went well: all its answers have ended."""

    prompt_tokens: int
    completion_tokens: int
    """Of all answers; tokens of stop strings and the end-of-turn token count."""
    cached_tokens: int
    """Tokens of the prompt whose keys and values an earlier request had left."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The last event of a request that could not be finished."""

    error: Exception


Event = Delta | ChoiceEnd | Done | Failed

OnEvents = Callable[[list[Event]], None]
"""Called from the engine's thread with a request's events of one pass; must not block or raise."""
