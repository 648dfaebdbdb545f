"""How many calls and tokens a run may still use."""

from __future__ import annotations

from threading import Lock

from tuneward.rewards.judge.client import ModelError, Reply

CHARACTERS_PER_TOKEN = 4
"""Estimate for servers that do not count tokens."""


class Budget:
    """Counts calls and tokens; any number of threads may use it.

    Calls are counted when they start, further tries of one call not again. Tokens are known when a call has ended, so
    calls under way at that moment can go over the limit.
    """

    def __init__(self, max_calls: int | None, max_tokens: int | None) -> None:
        self._max_calls = max_calls
        self._max_tokens = max_tokens
        self._lock = Lock()
        self.calls = 0
        self.tokens = 0

    def start_call(self) -> None:
        """Count one call.

        Raises:
            ModelError: of kind `budget`; there is nothing left.
        """
        with self._lock:
            if self._max_tokens is not None and self.tokens >= self._max_tokens:
                raise ModelError(
                    f"The token budget of the judge is used up ({self.tokens} tokens). Raise connection.max_tokens.",
                    "budget",
                )
            if self._max_calls is not None and self.calls >= self._max_calls:
                raise ModelError(
                    f"The call budget of the judge is used up ({self.calls} calls). Raise connection.max_calls.",
                    "budget",
                )
            self.calls += 1

    def spend(self, messages: list[dict[str, str]], reply: Reply) -> None:
        """Count the tokens of an answered call."""
        tokens = reply.prompt_tokens + reply.completion_tokens
        if tokens == 0:
            characters = sum(len(message["content"]) for message in messages) + len(reply.text)
            tokens = -(-characters // CHARACTERS_PER_TOKEN)
        with self._lock:
            self.tokens += tokens
