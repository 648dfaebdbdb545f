"""One request to a judge model, and how it may fail; what providers translate to their wire formats."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

from tuneward.rewards.judge.client import ModelErrorKind, Reply
from tuneward.types import Json

SHOWN_TEXT = 300


@dataclass(frozen=True, slots=True)
class Request:
    """Arguments of `ModelClient.complete`, the model under its name at the address."""

    model: str
    messages: list[dict[str, str]]
    schema: dict[str, Json] | None
    max_tokens: int
    settings: dict[str, float | int | str]
    """`temperature`, `top_p`, `seed`, `reasoning_effort`, as far as given."""

    def told_messages(self) -> list[dict[str, str]]:
        """The messages with the schema in words, for servers that cannot hold a model to it."""
        if self.schema is None:
            return self.messages
        told = (
            "Answer with one JSON object and nothing else: no code fence, no text around it. It matches this JSON "
            f"schema: {json.dumps(self.schema, ensure_ascii=False)}"
        )
        first = self.messages[0] if self.messages else None
        if first is not None and first["role"] == "system":
            return [{**first, "content": f"{first['content']}\n\n{told}"}, *self.messages[1:]]
        return [{"role": "system", "content": told}, *self.messages]


class SendError(Exception):
    """A request brought no answer.

    Args:
        message: one sentence or two for the user.
        kind: as `ModelError.kind`.
        is_passing: another try may succeed.
        retry_after_s: pause that the server asks for, in seconds.
    """

    def __init__(
        self, message: str, kind: ModelErrorKind = "server", *, is_passing: bool = False, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message)
        self.kind: ModelErrorKind = kind
        self.is_passing = is_passing
        self.retry_after_s = retry_after_s


class Provider(Protocol):
    """Speaks one wire format to one address; any number of threads may send."""

    @property
    def address(self) -> str:
        """Names the server in messages."""
        ...

    def send(self, request: Request) -> Reply:
        """One try. Raises SendError."""
        ...

    def close(self) -> None: ...


def one_line(text: str) -> str:
    """Text of a server for a message: one line of bounded length, without a stop at its end."""
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}…"
