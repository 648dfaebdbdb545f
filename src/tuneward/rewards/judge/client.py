"""What a judge model is to a grader: `complete` answers one conversation, within limits that all threads share.

Source: Bedrock RFT contract, 4.8; OpenAI grader contract, 5.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from tuneward.config.reward import ConnectionConfig
from tuneward.errors import TunewardError
from tuneward.types import Json

ModelErrorKind = Literal["server", "timeout", "budget"]


class ModelError(TunewardError):
    """A model gave no answer. Not the `ModelError` of `tuneward.errors`, which is about models of this machine.

    Args:
        message: one sentence or two: what, where, what to do; never holds a key.
        kind: `server`: refused, unreachable or closed; `timeout`: no answer within `connection.timeout_s`; `budget`:
            `connection.max_calls` or `connection.max_tokens` is used up.
    """

    def __init__(self, message: str, kind: ModelErrorKind) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer to one conversation."""

    text: str
    """Empty when the model refused."""
    model: str
    """Name of the model as the server gives it."""
    prompt_tokens: int = 0
    """0 when the server does not count."""
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Part of `prompt_tokens` that the server had in its cache."""
    latency_s: float = 0.0
    """Wall-clock seconds of the request that was answered, without earlier tries and pauses."""
    refusal: str | None = None
    """The model's words, or the reason, when it refused; else None."""
    is_truncated: bool = False
    """The answer ended at `max_tokens`."""


class ModelClient(Protocol):
    """Judge models at one address. Any number of threads may call."""

    def complete(
        self,
        messages: list[dict[str, str]],
        *,
        model: str,
        schema: dict[str, Json] | None = None,
        max_tokens: int = 512,
        temperature: float | None = 0.0,
        top_p: float | None = None,
        seed: int | None = None,
        reasoning_effort: str | None = None,
    ) -> Reply:
        """The model's answer; waits for it, for a free place, and between tries.

        Args:
            messages: `role` (system, user or assistant) and `content` of each.
            model: name as a grader has it; `connection.models` says what it is called at the address.
            schema: JSON schema of the answer, in the strict form (every property required, no others allowed). Where
                the server cannot hold a model to it, the model is only told; the text may then be anything.
            max_tokens: length limit of the answer.
            temperature: None leaves it to the server, as do the other values.

        Settings that the server refuses for this model are left out from then on.

        Raises:
            ModelError: there is no answer, after all tries.
        """
        ...

    def close(self) -> None:
        """Give up calls under way and refuse further ones; safe to call twice."""
        ...


def build_client(connection: ConnectionConfig) -> ModelClient:
    """The client that a configuration asks for; the caller closes it. Nothing is sent yet.

    Raises:
        GraderError: a key or a package is missing.
    """
    from tuneward.rewards.judge.limited_client import LimitedClient

    if connection.provider == "bedrock":
        from tuneward.rewards.judge.bedrock_client import BedrockProvider

        return LimitedClient(BedrockProvider(connection), connection)
    from tuneward.rewards.judge.openai_client import OpenAIProvider

    return LimitedClient(OpenAIProvider(connection), connection)
