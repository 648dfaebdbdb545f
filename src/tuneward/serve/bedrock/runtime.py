"""Bedrock's runtime: InvokeModel, Converse, both as streams, and CountTokens. Source: Bedrock RFT contract, 8.8."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

import tuneward.serve.bedrock.paths  # noqa: F401  (makes {…:label} known)
from tuneward.engine.serving.request import ServingRequest
from tuneward.serve.aws_errors import AwsError
from tuneward.serve.bedrock import eventstream
from tuneward.serve.bedrock.answering import Turn, loaded, streamed, whole
from tuneward.serve.bedrock.converse import chat_of
from tuneward.serve.bedrock.converse_answer import ConverseAnswer
from tuneward.serve.bedrock.converse_request import ConverseBody
from tuneward.serve.bedrock.count_tokens import CountTokensBody
from tuneward.serve.bedrock.invocation_log import METADATA_HEADER, Invocation, metadata_header
from tuneward.serve.bedrock.invoke import NativeAnswer, parse_body, read_native
from tuneward.serve.catalog import ServedModel
from tuneward.serve.deps import Developer, Use
from tuneward.serve.inference import EventStream, prompt_of
from tuneward.types import Json

routes = APIRouter(prefix="/model/{model_id:label}")

_ANY_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}


@routes.post("/converse")
async def converse(
    model_id: str, body: ConverseBody, request: Request, principal: Developer, services: Use
) -> Response:
    turn = Turn(request, services, principal, model_id, chat_of(body))
    raw = await request.json()
    call = await services.invocations.call(request, principal, "Converse", model_id, raw, body.request_metadata)
    answer, _usage = await whole(turn, call, _converse_answer(turn, body))
    return JSONResponse(answer)


@routes.post("/converse-stream")
async def converse_stream(
    model_id: str, body: ConverseBody, request: Request, principal: Developer, services: Use
) -> Response:
    turn = Turn(request, services, principal, model_id, chat_of(body))
    raw = await request.json()
    call = await services.invocations.call(request, principal, "ConverseStream", model_id, raw, body.request_metadata)
    return await streamed(turn, call, _converse_answer(turn, body), _converse_frames)


@routes.post("/invoke", openapi_extra=_ANY_BODY)
async def invoke_model(model_id: str, request: Request, principal: Developer, services: Use) -> Response:
    began_s = time.monotonic()
    raw = parse_body(await request.body())
    call = await services.invocations.call(request, principal, "InvokeModel", model_id, raw, _metadata(request))
    native = read_native(raw, model_id)
    answer, usage = await whole(Turn(request, services, principal, model_id, native.chat), call, native.answer)
    headers = {
        "X-Amzn-Bedrock-Input-Token-Count": str(usage.prompt_tokens),
        "X-Amzn-Bedrock-Output-Token-Count": str(usage.completion_tokens),
        "X-Amzn-Bedrock-Invocation-Latency": str(_ms_since(began_s)),
    }
    return JSONResponse(answer, headers=headers)


@routes.post("/invoke-with-response-stream", openapi_extra=_ANY_BODY)
async def invoke_model_with_response_stream(
    model_id: str, request: Request, principal: Developer, services: Use
) -> Response:
    raw = parse_body(await request.body())
    operation = "InvokeModelWithResponseStream"
    call = await services.invocations.call(request, principal, operation, model_id, raw, _metadata(request))
    native = read_native(raw, model_id)
    turn = Turn(request, services, principal, model_id, native.chat)
    return await streamed(turn, call, native.answer, _native_frames, also=frozenset({"ModelTimeoutException"}))


@routes.post("/count-tokens")
async def count_tokens(model_id: str, body: CountTokensBody, principal: Developer, services: Use) -> Json:
    chat = body.chat(model_id)
    async with loaded(services, principal, model_id) as model:
        return {"inputTokens": len(await run_in_threadpool(prompt_of, chat, model))}


def _converse_answer(turn: Turn, body: ConverseBody) -> Callable[[ServedModel, ServingRequest], ConverseAnswer]:
    paths = tuple(body.additional_model_response_field_paths or ())

    def begin(model: ServedModel, wanted: ServingRequest) -> ConverseAnswer:
        return ConverseAnswer(turn.chat, model, wanted, paths)

    return begin


async def _converse_frames(answer: ConverseAnswer, events: EventStream, call: Invocation) -> AsyncIterator[bytes]:
    async for name, payload in answer.events(events):
        if name == "metadata":  # the last one; nobody need wait for it
            call.answered(answer.body(), events.usage)
        yield eventstream.event(name, payload)


async def _native_frames(answer: NativeAnswer, events: EventStream, call: Invocation) -> AsyncIterator[bytes]:
    """Chunks; the last one has the metrics that AWS puts into it."""
    began_s = time.monotonic()
    first_ms = 0
    chunks: list[Json] = []
    async for chunk in answer.chunks(events):
        if chunks:
            first_ms = first_ms or _ms_since(began_s)
            yield eventstream.chunk(chunks[-1])
        chunks.append(chunk)
    chunks[-1] |= {
        "amazon-bedrock-invocationMetrics": {
            "inputTokenCount": events.usage.prompt_tokens,
            "outputTokenCount": events.usage.completion_tokens,
            "invocationLatency": _ms_since(began_s),
            "firstByteLatency": first_ms,
        }
    }
    call.answered(chunks, events.usage)
    yield eventstream.chunk(chunks[-1])


def _metadata(request: Request) -> Mapping[str, str] | None:
    try:
        return metadata_header(request.headers)
    except ValueError as error:
        raise AwsError("ValidationException", 400, f"{METADATA_HEADER} {error}.") from None


def _ms_since(began_s: float) -> int:
    return round(1000 * (time.monotonic() - began_s))
