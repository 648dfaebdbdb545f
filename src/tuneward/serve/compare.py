"""`POST /api/compare`: the same question to several models at once, such as a base model and what was tuned on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Annotated, Any, Self

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import ConfigDict, Field, ValidationError, model_validator
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from tuneward.accounts.principal import Principal
from tuneward.serve.api.model import ApiModel
from tuneward.serve.deps import Developer, Use
from tuneward.serve.errors import as_api_error
from tuneward.serve.inference import EventStream, opened, to_engine, until_gone
from tuneward.serve.openai.chat import chat_of
from tuneward.serve.openai.chat_answer import Answer
from tuneward.serve.openai.chat_request import ChatRequest
from tuneward.serve.services import Services
from tuneward.types import Json

routes = APIRouter(prefix="/api")


class Comparison(ApiModel):
    """Models, and beside them whatever a chat completion takes but `model`; with one `seed` they draw alike."""

    model_config = ConfigDict(extra="allow")

    models: Annotated[list[str], Field(min_length=1, max_length=4)]
    """Names as chat completions take them; one may stand there twice."""
    conversations: list[list[Json]] | None = None
    """In place of `messages`: one list of messages for each model, as each has given other answers so far."""

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if self.conversations is None:
            return self
        if len(self.conversations) != len(self.models):
            raise ValueError("conversations holds one list of messages for each of models")
        if "messages" in (self.model_extra or {}):
            raise ValueError("messages and conversations exclude each other")
        return self


@routes.post("/compare")
async def compare(body: Comparison, request: Request, principal: Developer, services: Use) -> Response:
    """`{"answers": [chat completion, …]}` in the order of `models`.

    With `"stream": true`, server-sent events `{"index": number in models, "chunk": chat completion chunk}` as they
    come, and `[DONE]` at the end. What one of the models cannot answer is said in `{"index", "error"}`; the others go
    on.
    """
    chats = [_chat(body, index) for index in range(len(body.models))]
    if chats[0].stream:
        return _Merged(_frames(chats, principal, services))
    async with AsyncExitStack() as stack:
        pairs = [await _begin(chat, principal, services, stack) for chat in chats]
        await until_gone(request, _all([answer.collect(events) for answer, events in pairs]))
        return JSONResponse({"answers": [answer.body() for answer, _ in pairs]})


def _chat(body: Comparison, index: int) -> ChatRequest:
    own = {} if body.conversations is None else {"messages": body.conversations[index]}
    try:
        return ChatRequest.model_validate((body.model_extra or {}) | own | {"model": body.models[index]})
    except ValidationError as error:
        problems = [problem | {"loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise RequestValidationError(problems) from None


async def _begin(
    chat: ChatRequest, principal: Principal, services: Services, stack: AsyncExitStack
) -> tuple[Answer, EventStream]:
    model = await stack.enter_async_context(services.catalog.use(principal, chat.model))
    wanted = await run_in_threadpool(to_engine, chat_of(chat), model)
    limit_s = services.config.serving.request_timeout_s
    return Answer(chat, model, wanted), await stack.enter_async_context(opened(model.engine, wanted, timeout_s=limit_s))


async def _all(work: list[Any]) -> None:
    await asyncio.gather(*work)


async def _frames(chats: list[ChatRequest], principal: Principal, services: Services) -> AsyncGenerator[str, None]:
    """Chunks of all answers as they come; each begins when its model is ready."""
    ready: asyncio.Queue[Json] = asyncio.Queue()

    async def pump(index: int, chat: ChatRequest) -> None:
        try:
            async with AsyncExitStack() as stack:
                answer, events = await _begin(chat, principal, services, stack)
                async for chunk in answer.chunks(events):
                    ready.put_nowait({"index": index, "chunk": chunk})
        except Exception as error:  # the response has begun: whatever it is can only be said in it
            ready.put_nowait({"index": index, **as_api_error(error).body()})
        ready.put_nowait(None)

    pumps = [asyncio.ensure_future(pump(index, chat)) for index, chat in enumerate(chats)]
    try:
        running = len(pumps)
        while running:
            frame = await ready.get()
            if frame is None:
                running -= 1
            else:
                yield f"data: {json.dumps(frame, ensure_ascii=False)}\n\n"
        yield "data: [DONE]\n\n"
    finally:
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


class _Merged(StreamingResponse):
    """Frees the models when it ends, by whatever way."""

    def __init__(self, frames: AsyncGenerator[str, None]):
        super().__init__(frames, media_type="text/event-stream")
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._frames.aclose()
