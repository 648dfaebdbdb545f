"""`POST /v1/chat/completions`. Source: OpenAI RFT contract, 7.2."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, aclosing, suppress
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from tuneward.engine.serving.grammar import GrammarError
from tuneward.engine.serving.request import ServingRequest
from tuneward.errors import ModelError
from tuneward.serve.catalog import ServedModel
from tuneward.serve.deps import Developer, Use
from tuneward.serve.errors import ApiError
from tuneward.serve.openai.chat_answer import Answer
from tuneward.serve.openai.chat_request import ChatRequest
from tuneward.serve.openai.events import EventStream, opened
from tuneward.serve.openai.response_format import grammar_of, instructed

LEAST_TOP_P = 1e-9
"""A nucleus is never empty: 0 means the likeliest token alone."""


routes = APIRouter()


@routes.post("/chat/completions")
async def create_chat_completion(body: ChatRequest, request: Request, principal: Developer, services: Use) -> Response:
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(services.catalog.use(principal, body.model))
        wanted = await run_in_threadpool(to_engine, body, model)
        answer = Answer(body, model)
        if body.stream:
            # Submitted before the response begins, so that a refusal still has its own status.
            events = EventStream(model.engine, wanted)
            return _EventResponse(answer, events, stack.pop_all())
        async with opened(model.engine, wanted) as events:
            await _until_gone(request, answer.collect(events))
        return JSONResponse(answer.body())


def to_engine(body: ChatRequest, model: ServedModel) -> ServingRequest:
    """The request in the engine's words. Raises ApiError 400 when the chat template refuses the messages."""
    messages = instructed([message.for_template() for message in body.messages], body.response_format)
    tools = () if body.tool_choice == "none" else tuple(body.tools or ())
    try:
        prompt = model.engine.tokenizer.render_messages(tuple(messages), tools=tools)
    except ModelError as error:
        raise ApiError(400, str(error), param="messages", code="invalid_value") from None
    max_tokens = body.max_completion_tokens or body.max_tokens
    try:
        grammar = grammar_of(body.response_format, model.engine.grammars)
    except GrammarError as error:
        raise ApiError(400, str(error), param="response_format.json_schema.schema", code="invalid_value") from None
    return ServingRequest(
        prompt,
        max_tokens=max_tokens,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else max(body.top_p, LEAST_TOP_P),
        seed=body.seed,
        stop=tuple(body.stop or ()),
        n=body.n or 1,
        top_logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        frequency_penalty=body.frequency_penalty or 0.0,
        presence_penalty=body.presence_penalty or 0.0,
        logit_bias={int(token): value for token, value in (body.logit_bias or {}).items()},
        grammar=grammar,
        adapter=model.adapter,
    )


class _EventResponse(StreamingResponse):
    """Server-sent events; frees the slots when it ends, also where a client is gone before the first frame."""

    def __init__(self, answer: Answer, events: EventStream, held: AsyncExitStack):
        super().__init__(_frames(answer, events), media_type="text/event-stream")
        self._events, self._held = events, held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._events.close()
            await self._held.aclose()


async def _frames(answer: Answer, events: EventStream) -> AsyncIterator[str]:
    try:
        async with aclosing(answer.chunks(events)) as chunks:
            async for chunk in chunks:
                yield _frame(chunk)
        yield "data: [DONE]\n\n"
    except ApiError as error:
        yield _frame(error.body())


def _frame(value: object) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


async def _until_gone(request: Request, work: Coroutine[Any, Any, None]) -> None:
    """Run to the end, or until the client has hung up. Raises what the work raises."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, ApiError):
                await task


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
