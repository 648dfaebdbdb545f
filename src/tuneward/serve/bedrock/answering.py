"""Getting an answer for Bedrock's runtime: whole or as frames, logged, and with nothing held once it is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from tuneward.accounts.principal import Principal
from tuneward.engine.serving.request import Done, ServingRequest
from tuneward.jobs.problems import LimitExceededError
from tuneward.serve.aws_errors import AwsError
from tuneward.serve.bedrock import eventstream
from tuneward.serve.bedrock.invocation_log import Invocation
from tuneward.serve.catalog import ServedModel
from tuneward.serve.errors import as_aws_error
from tuneward.serve.inference import Chat, EventStream, StreamedAnswer, opened, to_engine, until_gone
from tuneward.serve.services import Services
from tuneward.types import Json


class WholeAnswer(Protocol):
    """What can take in events and write an answer of them."""

    async def collect(self, events: EventStream) -> None: ...

    def body(self) -> Json: ...


A = TypeVar("A", bound=WholeAnswer)
Framed = Callable[[A, EventStream, Invocation], AsyncIterator[bytes]]
"""Makes the frames of an answer, and says in the invocation what the answer was before it gives the last one."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a call asks of which model."""

    request: Request
    services: Services
    principal: Principal
    model_id: str
    chat: Chat

    @property
    def timeout_s(self) -> float:
        return self.services.config.serving.request_timeout_s


async def whole(
    turn: Turn, call: Invocation, begin: Callable[[ServedModel, ServingRequest], WholeAnswer]
) -> tuple[Json, Done]:
    """An answer, and its tokens. Raises AwsError, ServiceError, ModelError, and what the engine fails with."""
    with call:
        async with ready(turn) as (model, wanted):
            answer = begin(model, wanted)
            async with opened(model.engine, wanted, timeout_s=turn.timeout_s) as events:
                is_whole = await until_gone(turn.request, answer.collect(events))
            body = answer.body()
            if is_whole:
                call.answered(body, events.usage)
            return body, events.usage


async def streamed(
    turn: Turn,
    call: Invocation,
    begin: Callable[[ServedModel, ServingRequest], A],
    frames: Framed[A],
    *,
    also: frozenset[str] = frozenset(),
) -> StreamedAnswer:
    """An answer in frames; what goes wrong after the first one is said in a frame. Raises as `whole`.

    Args:
        turn: what is asked.
        call: for the log.
        begin: makes the answer.
        frames: of the answer.
        also: see `eventstream.exception`.
    """

    async def guarded(answer: A, events: EventStream) -> AsyncIterator[bytes]:
        try:
            async for frame in frames(answer, events, call):
                yield frame
        except Exception as error:
            call.failed(error)
            yield eventstream.exception(as_aws_error(error), also=also)

    async with AsyncExitStack() as stack:
        stack.enter_context(call)
        model, wanted = await stack.enter_async_context(ready(turn))
        answer = begin(model, wanted)
        # Submitted before the response begins, so that a refusal still has its own status.
        events = EventStream(model.engine, wanted, timeout_s=turn.timeout_s)
        held = stack.pop_all()
    headers = {"X-Amzn-Bedrock-Content-Type": "application/json"}
    media_type = eventstream.MEDIA_TYPE
    return StreamedAnswer(guarded(answer, events), events, held, media_type=media_type, headers=headers)


@asynccontextmanager
async def loaded(services: Services, principal: Principal, model_id: str) -> AsyncIterator[ServedModel]:
    """The model, kept until the block ends. Raises AwsError when it has no room now, and as `Catalog.use`."""
    async with AsyncExitStack() as stack:
        try:
            model = await stack.enter_async_context(services.catalog.use(principal, model_id))
        except LimitExceededError as error:
            wait_s = max(1, round(error.retry_after_s or 1))
            headers = {"Retry-After": str(wait_s)}
            raise AwsError("ModelNotReadyException", 429, error.message, headers=headers) from None
        yield model


@asynccontextmanager
async def ready(turn: Turn) -> AsyncIterator[tuple[ServedModel, ServingRequest]]:
    """The model and what it is asked. Raises as `loaded` and `to_engine`."""
    async with loaded(turn.services, turn.principal, turn.model_id) as model:
        yield model, await run_in_threadpool(to_engine, turn.chat, model)
