"""`POST /v1/chat/completions`. Source: OpenAI RFT contract, 7.2."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from tuneward.accounts.principal import Principal
from tuneward.engine.serving.request import ServingRequest
from tuneward.serve.bedrock.invocation_log import Invocation, metadata_of
from tuneward.serve.deps import Developer, Use
from tuneward.serve.errors import as_api_error
from tuneward.serve.inference import (
    LEAST_TOP_P,
    Chat,
    EventStream,
    StreamedAnswer,
    call_schema,
    opened,
    to_engine,
    until_gone,
)
from tuneward.serve.openai.chat_answer import Answer
from tuneward.serve.openai.chat_request import ChatRequest, SampledRequest
from tuneward.serve.openai.tool_choice import forced_tools
from tuneward.serve.services import Services

routes = APIRouter()


@routes.post("/chat/completions")
async def create_chat_completion(body: ChatRequest, request: Request, principal: Developer, services: Use) -> Response:
    timeout_s = services.config.serving.request_timeout_s
    async with AsyncExitStack() as stack:
        call = stack.enter_context(await _logged(body, request, principal, services))
        model = await stack.enter_async_context(services.catalog.use(principal, body.model))
        wanted = await run_in_threadpool(to_engine, chat_of(body), model)
        answer = Answer(body, model, wanted)
        if body.stream:
            # Submitted before the response begins, so that a refusal still has its own status.
            events = EventStream(model.engine, wanted, timeout_s=timeout_s)
            return StreamedAnswer(
                _frames(answer, events, call), events, stack.pop_all(), media_type="text/event-stream"
            )
        async with opened(model.engine, wanted, timeout_s=timeout_s) as events:
            if await until_gone(request, answer.collect(events)):
                call.answered(answer.body(), events.usage)
        return JSONResponse(answer.body())


def chat_of(body: ChatRequest) -> Chat:
    """What a body of chat completions asks."""
    settings = replace(
        settings_of(body),
        max_tokens=body.max_completion_tokens or body.max_tokens,
        top_logprobs=(body.top_logprobs or 0) if body.logprobs else None,
    )
    tools = () if body.tool_choice == "none" else tuple(body.tools or ())
    forced = forced_tools(body.tool_choice, tools)
    return Chat(
        [message.for_template() for message in body.messages],
        settings,
        tools,
        body.response_format,
        held_to=call_schema(forced) if forced else None,
    )


def settings_of(body: SampledRequest) -> ServingRequest:
    """How answers are drawn; its prompt and limits are to be filled in."""
    return ServingRequest(
        prompt=(),
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else max(body.top_p, LEAST_TOP_P),
        seed=body.seed,
        stop=tuple(body.stop or ()),
        n=body.n or 1,
        frequency_penalty=body.frequency_penalty or 0.0,
        presence_penalty=body.presence_penalty or 0.0,
        logit_bias={int(token): value for token, value in (body.logit_bias or {}).items()},
    )


async def _logged(body: ChatRequest, request: Request, principal: Principal, services: Services) -> Invocation:
    raw = await request.json()
    metadata = metadata_of(request.headers, raw.get("metadata"))
    return await services.invocations.call(request, principal, "ChatCompletion", body.model, raw, metadata)


async def _frames(answer: Answer, events: EventStream, call: Invocation) -> AsyncIterator[str]:
    try:
        async with aclosing(answer.chunks(events)) as chunks:
            async for chunk in chunks:
                yield _frame(chunk)
        call.answered(answer.body(), events.usage)
        yield "data: [DONE]\n\n"
    except Exception as error:  # the response has begun: whatever it is can only be said in it
        call.failed(error)
        yield _frame(as_api_error(error).body())


def _frame(value: object) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
