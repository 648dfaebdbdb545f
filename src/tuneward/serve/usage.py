"""Tokens that the request under way has used; whoever asks a model adds to it, wherever in the code that is."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Usage:
    """Of one request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total(self) -> int:
        return self.prompt_tokens + self.completion_tokens


_CURRENT: ContextVar[Usage | None] = ContextVar("usage", default=None)


def start_counting() -> Usage:
    """Count for the request that begins here."""
    usage = Usage()
    _CURRENT.set(usage)
    return usage


def current_usage() -> Usage:
    """Of the request under way; outside of one, a count that nobody reads."""
    return _CURRENT.get() or Usage()
