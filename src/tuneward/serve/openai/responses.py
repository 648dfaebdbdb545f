"""`/v1/responses`. Source: OpenAI RFT contract, 7.3."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from tuneward.engine.serving.request import ServingRequest
from tuneward.jobs.problems import InvalidRequestError, ObjectNotFoundError
from tuneward.serve.bedrock.invocation_log import Invocation, metadata_of
from tuneward.serve.catalog import ServedModel
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.serve.inference import Chat, EventStream, StreamedAnswer, opened, prompt_of, to_engine, until_gone
from tuneward.serve.openai.response_answer import ResponseAnswer
from tuneward.serve.openai.response_request import ResponseRequest, messages_of
from tuneward.serve.openai.response_store import ResponseStore
from tuneward.types import Json

routes = APIRouter(prefix="/responses")


@routes.post("")
async def create_response(body: ResponseRequest, request: Request, principal: Developer, services: Use) -> Response:
    timeout_s = services.config.serving.request_timeout_s
    store = ResponseStore(services.database)
    before: list[Json] = []
    if body.previous_response_id is not None:
        before = await run_in_threadpool(_conversation, store, principal.project_id, body.previous_response_id)
    items = body.input_items()
    async with AsyncExitStack() as stack:
        raw = await request.json()
        metadata = metadata_of(request.headers, raw.get("metadata"))
        call = stack.enter_context(
            await services.invocations.call(request, principal, "Response", body.model, raw, metadata)
        )
        model = await stack.enter_async_context(services.catalog.use(principal, body.model))
        wanted = await run_in_threadpool(_to_engine, body, body.chat(before), model)
        answer = ResponseAnswer(body, model, wanted)

        def keep() -> None:
            if body.is_stored:
                messages = [*before, *messages_of(items), answer.message]
                store.add(principal.project_id, answer.body(), items, messages)

        if body.stream:
            events = EventStream(model.engine, wanted, timeout_s=timeout_s)
            frames = _frames(answer, events, keep, call)
            return StreamedAnswer(frames, events, stack.pop_all(), media_type="text/event-stream")
        async with opened(model.engine, wanted, timeout_s=timeout_s) as events:
            if await until_gone(request, answer.collect(events)):
                await run_in_threadpool(keep)
                call.answered(answer.body(), events.usage)
        return JSONResponse(answer.body())


@routes.post("/input_tokens")
async def count_input_tokens(body: ResponseRequest, principal: Developer, services: Use) -> Json:
    before: list[Json] = []
    if body.previous_response_id is not None:
        store = ResponseStore(services.database)
        before = await run_in_threadpool(_conversation, store, principal.project_id, body.previous_response_id)
    async with services.catalog.use(principal, body.model) as model:
        prompt = await run_in_threadpool(prompt_of, body.chat(before), model)
    return {"object": "response.input_tokens", "input_tokens": len(prompt)}


@routes.get("/{response_id}")
def retrieve_response(response_id: str, principal: Viewer, services: Use) -> Json:
    return ResponseStore(services.database).get(principal.project_id, response_id).body


@routes.delete("/{response_id}")
def delete_response(response_id: str, principal: Developer, services: Use) -> Json:
    ResponseStore(services.database).delete(principal.project_id, response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@routes.get("/{response_id}/input_items")
def list_input_items(
    response_id: str,
    principal: Viewer,
    services: Use,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> Json:
    kept = ResponseStore(services.database).get(principal.project_id, response_id)
    items = [{"id": f"item_{number}_{response_id}"} | item for number, item in enumerate(kept.input)]
    items = items if order == "asc" else items[::-1]
    if after is not None:
        places = [number for number, item in enumerate(items) if item["id"] == after]
        if not places:
            raise ObjectNotFoundError(f"No item {after[:80]} here.", param="after")
        items = items[places[0] + 1 :]
    page = items[:limit]
    ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return {"object": "list", "data": page, "has_more": len(items) > limit} | ends


def _conversation(store: ResponseStore, project_id: str, response_id: str) -> list[Json]:
    try:
        return store.get(project_id, response_id).messages
    except ObjectNotFoundError:
        raise InvalidRequestError(
            f"Previous response with id '{response_id[:80]}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        ) from None


def _to_engine(body: ResponseRequest, chat: Chat, model: ServedModel) -> ServingRequest:
    """As `to_engine`; with `truncation: auto` the oldest messages are left out until the rest leaves room."""
    wanted = to_engine(chat, model)
    while body.truncation == "auto" and len(wanted.prompt) >= model.engine.limits.context:
        first = next((n for n, message in enumerate(chat.messages[:-1]) if message["role"] != "system"), None)
        if first is None:
            break
        chat = replace(chat, messages=[*chat.messages[:first], *chat.messages[first + 1 :]])
        wanted = to_engine(chat, model)
    return wanted


async def _frames(
    answer: ResponseAnswer, events: EventStream, keep: Callable[[], None], call: Invocation
) -> AsyncIterator[str]:
    try:
        async with aclosing(answer.events(events)) as made:
            async for event in made:
                yield _frame(event)
        await run_in_threadpool(keep)
        call.answered(answer.body(), events.usage)
        last = answer.end()
    except Exception as error:  # the response has begun: whatever it is can only be said in it
        call.failed(error)
        last = answer.failed(error)
    yield _frame(last)


def _frame(event: Json) -> str:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"
