"""From a chat in any dialect to the engine, and the engine's events for asynchronous code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tuneward.engine.serving.request import Delta, Done, Event, Failed, ServingRequest
from tuneward.errors import EngineError, ModelError
from tuneward.jobs.problems import InvalidRequestError
from tuneward.serve.openai.chat_request import ResponseFormat
from tuneward.serve.openai.response_format import grammar_of, instructed
from tuneward.serve.usage import current_usage
from tuneward.types import Json

if TYPE_CHECKING:
    from tuneward.engine.serving.engine import ServingEngine
    from tuneward.serve.catalog import ServedModel

LEAST_TOP_P = 1e-9
"""A nucleus is never empty: 0 means the likeliest token alone."""


class AnswerTimeoutError(EngineError):
    """An answer took longer than the server allows."""


@dataclass(frozen=True, slots=True)
class Chat:
    """What is asked of a model, in whatever dialect it came."""

    messages: list[dict[str, Json]]
    """As chat templates know them: roles `system`, `user`, `assistant` and `tool`."""
    settings: ServingRequest
    """How the answer is drawn; its prompt, grammar and adapter are filled in by `to_engine`."""
    tools: tuple[dict[str, Json], ...] = ()
    """Function tools that the template shows to the model."""
    format: ResponseFormat | None = None
    """What the answer is held to, and the model is told so; None is any text."""
    held_to: dict[str, Json] | None = None
    """A JSON schema that the answer is held to without the model being told, such as of `call_schema`."""


def prompt_of(chat: Chat, model: ServedModel) -> tuple[int, ...]:
    """The tokens that the model reads.

    Raises:
        InvalidRequestError: the chat template refuses the messages, or they are not valid Unicode.
    """
    messages = instructed(chat.messages, chat.format)
    try:
        return model.engine.tokenizer.render_messages(tuple(messages), tools=chat.tools)
    except ModelError as error:
        raise InvalidRequestError(str(error), param="messages", code="invalid_value") from None
    except (TypeError, UnicodeError):  # half of a surrogate pair: JSON can say it, UTF-8 cannot
        message = "messages: a text is not valid Unicode (half of a surrogate pair); send whole characters."
        raise InvalidRequestError(message, param="messages", code="invalid_value") from None


def to_engine(chat: Chat, model: ServedModel) -> ServingRequest:
    """The request in the engine's words; takes milliseconds, so call it in a thread.

    Raises:
        InvalidRequestError: as `prompt_of`, or answers cannot be held to the schema.
    """
    prompt = prompt_of(chat, model)
    try:
        if chat.held_to is None:
            grammar = grammar_of(chat.format, model.engine.grammars)
        else:
            grammar = model.engine.grammars.of_schema(chat.held_to)
    except EngineError as error:
        param = "response_format.json_schema.schema" if chat.held_to is None else "tools"
        raise InvalidRequestError(str(error), param=param, code="invalid_value") from None
    return replace(chat.settings, prompt=prompt, grammar=grammar, adapter=model.adapter)


def call_schema(tools: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """What an answer looks like that is one call of one of these tools."""
    return {"anyOf": [_call_of(tool["function"], f"#/anyOf/{number}") for number, tool in enumerate(tools)]}


def _call_of(function: dict[str, Json], place: str) -> dict[str, Json]:
    arguments = _moved(function.get("parameters") or {"type": "object"}, f"{place}/properties/arguments")
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _moved(schema: Json, place: str) -> Json:
    """A schema whose references to its own parts still hold at its new place."""
    if isinstance(schema, list):
        return [_moved(part, place) for part in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: _moved(value, place) for key, value in schema.items()}
    reference = moved.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        moved["$ref"] = f"{place}{reference[1:]}"
    return moved


class EventStream:
    """Events as they come.

    Args:
        engine: gets the request at once.
        request: what to answer.
        timeout_s: wall-clock limit of the whole answer; None: none.

    Raises:
        EngineError: the engine does not take it.
    """

    def __init__(self, engine: ServingEngine, request: ServingRequest, *, timeout_s: float | None = None):
        loop = asyncio.get_running_loop()
        self.usage = Done(0, 0, 0)
        """Tokens, once all events have been read."""
        self._queue: asyncio.Queue[list[Event]] = asyncio.Queue()
        self._timeout_s = timeout_s
        self._deadline = None if timeout_s is None else loop.time() + timeout_s

        def pass_on(events: list[Event]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(self._queue.put_nowait, events)

        self._ticket = engine.submit(request, pass_on)
        self._counted = current_usage()
        self._counted.prompt_tokens += len(request.prompt)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Raises what the request fails with, and AnswerTimeoutError."""
        deltas = 0
        while True:
            try:
                async with asyncio.timeout_at(self._deadline):
                    events = await self._queue.get()
            except TimeoutError:
                self.close()
                message = f"The answer took longer than {self._timeout_s:g} s; ask for fewer tokens, or try again."
                raise AnswerTimeoutError(message) from None
            for event in events:
                if isinstance(event, Failed):
                    raise event.error
                if isinstance(event, Delta):  # about a token; of an answer that is not read to its end, all we know
                    deltas += 1
                    self._counted.completion_tokens += 1
                if isinstance(event, Done):
                    self.usage = event
                    self._counted.completion_tokens += event.completion_tokens - deltas
                yield event
                if isinstance(event, Done):
                    return

    def close(self) -> None:
        """Nobody wants the rest; safe to call when there is none."""
        self._ticket.cancel()


@asynccontextmanager
async def opened(
    engine: ServingEngine, request: ServingRequest, *, timeout_s: float | None = None
) -> AsyncIterator[EventStream]:
    """A stream that frees its slots when the block is left, by whatever way."""
    stream = EventStream(engine, request, timeout_s=timeout_s)
    try:
        yield stream
    finally:
        stream.close()


class StreamedAnswer(StreamingResponse):
    """A streamed response; frees what it holds when it ends, also where a client is gone before the first frame.

    Args:
        frames: the content.
        events: what the frames are made of.
        held: closed at the end.
        media_type: of the content.
        headers: more of the response.
    """

    def __init__(
        self,
        frames: AsyncIterator[bytes] | AsyncIterator[str],
        events: EventStream,
        held: AsyncExitStack,
        *,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(frames, media_type=media_type, headers=headers)
        self._events, self._held = events, held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._events.close()
            await self._held.aclose()


async def until_gone(request: Request, work: Coroutine[Any, Any, None]) -> bool:
    """Run to the end, or until the client has hung up. Returns whether it came to its end; raises what it raises."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        return working.done()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
