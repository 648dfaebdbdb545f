"""`POST /v1/completions`: texts that a model goes on with, without its chat template."""

from __future__ import annotations

import codecs
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from tuneward.engine.serving.request import ChoiceEnd, Delta, Done, TokenLogprob
from tuneward.serve.bedrock.invocation_log import Invocation, metadata_of
from tuneward.serve.catalog import ServedModel
from tuneward.serve.deps import Developer, Use
from tuneward.serve.errors import as_api_error
from tuneward.serve.inference import EventStream, StreamedAnswer, opened, until_gone
from tuneward.serve.openai.text_request import TextRequest
from tuneward.types import Json

routes = APIRouter()


@routes.post("/completions")
async def create_completion(body: TextRequest, request: Request, principal: Developer, services: Use) -> Response:
    timeout_s = services.config.serving.request_timeout_s
    async with AsyncExitStack() as stack:
        raw = await request.json()
        metadata = metadata_of(request.headers, raw.get("metadata"))
        call = stack.enter_context(
            await services.invocations.call(request, principal, "Completion", body.model, raw, metadata)
        )
        model = await stack.enter_async_context(services.catalog.use(principal, body.model))
        wanted = await run_in_threadpool(body.wanted, model)
        # All are submitted before the first is read: they share the model's passes.
        streams = [await stack.enter_async_context(opened(model.engine, one, timeout_s=timeout_s)) for one in wanted]
        answer = TextAnswer(body, model, streams)
        if body.stream:
            frames = _frames(answer, call)
            return StreamedAnswer(frames, streams[0], stack.pop_all(), media_type="text/event-stream")
        if await until_gone(request, answer.collect()):
            call.answered(answer.body(), answer.usage)
        return JSONResponse(answer.body())


class TextAnswer:
    """The answer to one request as it comes; choices of the first prompt come first.

    Args:
        request: as it came.
        model: who answers.
        streams: the events of each prompt.
    """

    def __init__(self, request: TextRequest, model: ServedModel, streams: Sequence[EventStream]):
        self._request, self._streams = request, streams
        count = len(streams) * (request.n or 1)
        self._texts, self._reasons = [""] * count, [""] * count
        self._logprobs = [_Logprobs() for _ in range(count)]
        self.usage = Done(0, 0, 0)
        """Of all prompts, once all events are there."""
        self._head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model.id,
            "system_fingerprint": model.version,
        }

    async def collect(self) -> None:
        """Take in all events. Raises what the request fails with."""
        async for _chunk in self.chunks():
            pass

    def body(self) -> Json:
        """The `text_completion` object, once all events are there."""
        choices = [
            {"index": index, "text": text, "finish_reason": reason, "logprobs": self._logprobs_of(index, 0)}
            for index, (text, reason) in enumerate(zip(self._texts, self._reasons, strict=True))
        ]
        return self._head | {"choices": choices, "usage": self._usage()}

    async def chunks(self) -> AsyncGenerator[Json, None]:
        """`text_completion` objects with a part each. Raises what the request fails with."""
        options = self._request.stream_options
        has_usage = options is not None and options.include_usage
        rest: Json = {"usage": None} if has_usage else {}
        for number, events in enumerate(self._streams):
            async for event in events:
                if isinstance(event, Done):
                    continue
                assert isinstance(event, Delta | ChoiceEnd)
                index = number * (self._request.n or 1) + event.choice
                yield self._head | {"choices": [self._part(index, event)]} | rest
        done = [events.usage for events in self._streams]
        self.usage = Done(
            sum(one.prompt_tokens for one in done),
            sum(one.completion_tokens for one in done),
            sum(one.cached_tokens for one in done),
        )
        if has_usage:
            yield self._head | {"choices": [], "usage": self._usage()}

    def _part(self, index: int, event: Delta | ChoiceEnd) -> Json:
        if isinstance(event, ChoiceEnd):
            self._reasons[index] = str(event.finish_reason)
            return {"index": index, "text": "", "finish_reason": self._reasons[index], "logprobs": None}
        self._texts[index] += event.text
        start = len(self._logprobs[index].tokens)
        for token in event.logprobs:
            self._logprobs[index].add(token)
        return {
            "index": index,
            "text": event.text,
            "finish_reason": None,
            "logprobs": self._logprobs_of(index, start),
        }

    def _logprobs_of(self, index: int, start: int) -> Json:
        return None if self._request.logprobs is None else self._logprobs[index].since(start)

    def _usage(self) -> Json:
        done = self.usage
        return {
            "prompt_tokens": done.prompt_tokens,
            "completion_tokens": done.completion_tokens,
            "total_tokens": done.prompt_tokens + done.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": done.cached_tokens},
        }


class _Logprobs:
    """Of the tokens of one choice, in lists side by side."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self._own: list[float] = []
        self._top: list[dict[str, float]] = []
        self._offsets: list[int] = []
        self._length = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: TokenLogprob) -> None:
        self.tokens.append(_name(token))
        self._own.append(_finite(token.logprob))
        self._top.append({_name(one): _finite(one.logprob) for one in token.top})
        if _text(token) is not None:  # whatever part of a character came before stays one
            self._length += len(self._decoder.decode(b"", final=True))
        self._offsets.append(self._length)
        self._length += len(self._decoder.decode(token.data))

    def since(self, start: int) -> Json:
        """From a token on."""
        return {
            "tokens": self.tokens[start:],
            "token_logprobs": self._own[start:],
            "top_logprobs": self._top[start:],
            "text_offset": self._offsets[start:],
        }


def _text(token: TokenLogprob) -> str | None:
    """None: it is no whole characters."""
    try:
        return token.data.decode()
    except UnicodeDecodeError:
        return None


def _name(token: TokenLogprob) -> str:
    """A token's text; of one that is no whole characters its bytes, so that two of them are not the same."""
    text = _text(token)
    return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.data) if text is None else text


def _finite(logprob: float) -> float:
    # JSON has no infinity: a token that cannot come gets the number that OpenAI gives it.
    return max(logprob, -9999.0)


async def _frames(answer: TextAnswer, call: Invocation) -> AsyncIterator[str]:
    try:
        async with aclosing(answer.chunks()) as chunks:
            async for chunk in chunks:
                yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
        call.answered(answer.body(), answer.usage)
        yield "data: [DONE]\n\n"
    except Exception as error:  # the response has begun: whatever it is can only be said in it
        call.failed(error)
        yield f"data: {json.dumps(as_api_error(error).body(), ensure_ascii=False)}\n\n"
