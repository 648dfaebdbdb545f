"""A client with limits around any provider: calls at the same time, tries, calls and tokens of a run."""

from __future__ import annotations

import threading

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_random_exponential,
)

from tuneward.config.reward import ConnectionConfig
from tuneward.rewards.judge.budget import Budget
from tuneward.rewards.judge.client import ModelError, Reply
from tuneward.rewards.judge.request import Provider, Request, SendError
from tuneward.types import Json

BACKOFF_S = 0.5
"""Upper end of the first pause; doubled for each further one. Pauses are drawn evenly between 0 and that, so that
calls refused together do not come back together; what the server asks for is added."""
LONGEST_PAUSE_S = 60.0
"""A server that asks for longer is tried after this long all the same."""


class LimitedClient:
    """`ModelClient` of `client.py` over a provider, which it closes.

    Args:
        connection: concurrency, retries, budgets and names.
        backoff_s: upper end of the pause before the second try, in seconds.
    """

    def __init__(self, provider: Provider, connection: ConnectionConfig, *, backoff_s: float = BACKOFF_S) -> None:
        self._provider = provider
        self._names = connection.models
        self._places = threading.BoundedSemaphore(connection.concurrency)
        self._budget = Budget(connection.max_calls, connection.max_tokens)
        self._closed = threading.Event()
        self._backoff = wait_random_exponential(multiplier=backoff_s, max=LONGEST_PAUSE_S)
        self._tries = connection.retries + 1

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
        """See `ModelClient.complete`."""
        settings = {
            "temperature": temperature,
            "top_p": top_p,
            "seed": seed,
            "reasoning_effort": reasoning_effort,
        }
        request = Request(
            model=self._names.get(model, self._names.get("*", model)),
            messages=messages,
            schema=schema,
            max_tokens=max_tokens,
            settings={name: value for name, value in settings.items() if value is not None},
        )
        self._budget.start_call()
        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, SendError) and error.is_passing),
            stop=stop_after_attempt(self._tries) | stop_when_event_set(self._closed),
            wait=self._pause,
            sleep=sleep_using_event(self._closed),
            reraise=True,
        )
        try:
            reply: Reply = retrying(self._send, request)
        except SendError as error:
            tries = int(retrying.statistics.get("attempt_number", 1))
            after = f" Tried {tries} times." if tries > 1 else ""
            raise ModelError(f"{error}{after}", error.kind) from None
        self._budget.spend(messages, reply)
        return reply

    def close(self) -> None:
        """Wake those that wait between tries, and close the provider's connections."""
        self._closed.set()
        self._provider.close()

    def _send(self, request: Request) -> Reply:
        with self._places:
            if self._closed.is_set():
                raise SendError(f"{self._provider.address} was not asked, because the grader was closed.")
            return self._provider.send(request)

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_s if isinstance(error, SendError) else 0.0
        return min(LONGEST_PAUSE_S, asked + self._backoff(state))
