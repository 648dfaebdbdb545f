"""Events of the engine → chat completions, whole or in chunks. Source: OpenAI RFT contract, 7.2."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator

from tuneward.engine.serving.request import ChoiceEnd, Delta, Done, TokenLogprob
from tuneward.serve.catalog import ServedModel
from tuneward.serve.openai.chat_request import ChatRequest
from tuneward.serve.openai.events import EventStream
from tuneward.serve.openai.response_format import format_error
from tuneward.types import Json


class Answer:
    """The answer to one request as it comes.

    Its `system_fingerprint` is the version of the adapter that answers, or `base`.
    """

    def __init__(self, request: ChatRequest, model: ServedModel):
        self._request = request
        count = request.n or 1
        self._texts: list[list[str]] = [[] for _ in range(count)]
        self._logprobs: list[list[Json]] = [[] for _ in range(count)]
        self._reasons = [""] * count
        self._usage: Json = None
        self._head = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model.id,
            "system_fingerprint": model.version,
        }

    async def collect(self, events: EventStream) -> None:
        """Take in all events. Raises ApiError when the request fails."""
        async for event in events:
            self._take(event)

    def body(self) -> Json:
        """The `chat.completion` object, once all events are there."""
        choices = []
        for index, parts in enumerate(self._texts):
            text = "".join(parts)
            message: Json = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
            choices.append(
                {"index": index, "message": message, "finish_reason": self._reasons[index]}
                | {"logprobs": self._logprobs_of(self._logprobs[index])}
                | self._format_error(index)
            )
        return self._head | {"object": "chat.completion", "choices": choices, "usage": self._usage}

    async def chunks(self, events: EventStream) -> AsyncGenerator[Json, None]:
        """`chat.completion.chunk` objects. Raises ApiError when the request fails."""
        for index in range(len(self._texts)):
            yield self._chunk(index, {"role": "assistant", "content": ""})
        async for event in events:
            self._take(event)
            if isinstance(event, Delta):
                logprobs = self._logprobs_of([_wire(token) for token in event.logprobs])
                yield self._chunk(event.choice, {"content": event.text}, logprobs=logprobs)
            elif isinstance(event, ChoiceEnd):
                reason = str(event.finish_reason)
                yield self._chunk(event.choice, {}, finish_reason=reason, **self._format_error(event.choice))
        if self._has_usage:
            yield self._head | {"object": "chat.completion.chunk", "choices": [], "usage": self._usage}

    @property
    def _has_usage(self) -> bool:
        options = self._request.stream_options
        return options is not None and options.include_usage

    def _take(self, event: object) -> None:
        match event:
            case Delta():
                self._texts[event.choice].append(event.text)
                self._logprobs[event.choice] += [_wire(token) for token in event.logprobs]
            case ChoiceEnd():
                self._reasons[event.choice] = str(event.finish_reason)
            case Done():
                self._usage = {
                    "prompt_tokens": event.prompt_tokens,
                    "completion_tokens": event.completion_tokens,
                    "total_tokens": event.prompt_tokens + event.completion_tokens,
                    "prompt_tokens_details": {"cached_tokens": event.cached_tokens},
                    "completion_tokens_details": {"reasoning_tokens": 0},
                }

    def _chunk(self, index: int, delta: Json, *, finish_reason: str | None = None, **more: Json) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason} | more
        usage = {"usage": None} if self._has_usage else {}
        return self._head | {"object": "chat.completion.chunk", "choices": [choice]} | usage

    def _logprobs_of(self, content: list[Json]) -> Json:
        return {"content": content, "refusal": None} if self._request.logprobs else None

    def _format_error(self, index: int) -> dict[str, Json]:
        error = format_error("".join(self._texts[index]), self._request.response_format)
        return {} if error is None else {"format_error": error}


def _wire(token: TokenLogprob) -> dict[str, Json]:
    """With its alternatives; they have none themselves."""
    return _plain(token) | {"top_logprobs": [_plain(other) for other in token.top]}


def _plain(token: TokenLogprob) -> dict[str, Json]:
    # JSON has no infinity: a token that cannot come gets the number that OpenAI gives it.
    return {"token": token.text, "logprob": max(token.logprob, -9999.0), "bytes": list(token.data)}
