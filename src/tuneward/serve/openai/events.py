"""A request's events for asynchronous code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tuneward.engine.serving.engine import ServingEngine
from tuneward.engine.serving.request import (
    Done,
    Event,
    Failed,
    QueueFullError,
    RequestTooLongError,
    ServingRequest,
)
from tuneward.errors import EngineError, NonFiniteError
from tuneward.serve.errors import ApiError


class EventStream:
    """Events as they come.

    Args:
        engine: gets the request at once.
        request: what to answer.

    Raises:
        ApiError: the engine does not take it.
    """

    def __init__(self, engine: ServingEngine, request: ServingRequest):
        loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[list[Event]] = asyncio.Queue()

        def pass_on(events: list[Event]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(self._queue.put_nowait, events)

        try:
            self._ticket = engine.submit(request, pass_on)
        except Exception as error:
            raise as_api_error(error) from None

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Raises ApiError when the request fails."""
        while True:
            for event in await self._queue.get():
                if isinstance(event, Failed):
                    raise as_api_error(event.error)
                yield event
                if isinstance(event, Done):
                    return

    def close(self) -> None:
        """Nobody wants the rest; safe to call when there is none."""
        self._ticket.cancel()


@asynccontextmanager
async def opened(engine: ServingEngine, request: ServingRequest) -> AsyncIterator[EventStream]:
    """A stream that frees its slots when the block is left, by whatever way."""
    stream = EventStream(engine, request)
    try:
        yield stream
    finally:
        stream.close()


def as_api_error(error: Exception) -> ApiError:
    """A failure of the engine as the client sees it. Source: OpenAI RFT contract, 1.3 and 1.5."""
    if isinstance(error, QueueFullError):
        headers = {"Retry-After": str(error.retry_after_s)}
        return ApiError(429, str(error), code="rate_limit_exceeded", headers=headers)
    if isinstance(error, RequestTooLongError):
        return ApiError(400, str(error), param="messages", code="context_length_exceeded")
    if isinstance(error, NonFiniteError):
        # The same weights give the same numbers again, so a client must not try again.
        return ApiError(500, str(error), code="non_finite", headers={"x-should-retry": "false"})
    if isinstance(error, EngineError):
        return ApiError(503, str(error), code="server_is_overloaded")
    return ApiError(500, f"{type(error).__name__} while answering.", code="server_error")
