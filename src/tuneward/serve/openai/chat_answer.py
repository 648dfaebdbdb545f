"""Events of the engine → chat completions, whole or in chunks. Source: OpenAI RFT contract, 7.2."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator

from tuneward.engine.serving.request import ChoiceEnd, Delta, Done, ServingRequest, TokenLogprob
from tuneward.serve.catalog import ServedModel
from tuneward.serve.inference import EventStream
from tuneward.serve.openai.chat_request import ChatRequest
from tuneward.serve.openai.parts import AnswerParts, Part
from tuneward.serve.openai.reasoning import Thought
from tuneward.serve.openai.response_format import format_error
from tuneward.serve.openai.tool_calls import ToolCall
from tuneward.types import FinishReason, Json


class Answer:
    """The answer to one request as it comes.

    Its `system_fingerprint` is the version of the adapter that answers, or `base`.

    Args:
        request: as it came.
        model: who answers.
        wanted: the request as the engine has it.
    """

    def __init__(self, request: ChatRequest, model: ServedModel, wanted: ServingRequest):
        self._request = request
        count = request.n or 1
        tools = () if request.tool_choice == "none" else request.tools or ()
        self._parts = [AnswerParts(model.engine.tokenizer, wanted, tools) for _ in range(count)]
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
        """Take in all events. Raises what the request fails with."""
        async for event in events:
            self._take(event)

    def body(self) -> Json:
        """The `chat.completion` object, once all events are there."""
        choices = []
        for index, parts in enumerate(self._parts):
            content = parts.text if parts.text or not parts.calls else None
            message: Json = {"role": "assistant", "content": content, "refusal": None, "annotations": []}
            if parts.calls:
                message["tool_calls"] = [_call(call) for call in parts.calls]
            if parts.reasoning:
                message["reasoning_content"] = parts.reasoning
            choices.append(
                {"index": index, "message": message, "finish_reason": self._reasons[index]}
                | {"logprobs": self._logprobs_of(self._logprobs[index])}
                | self._format_error(index)
            )
        return self._head | {"object": "chat.completion", "choices": choices, "usage": self._usage}

    async def chunks(self, events: EventStream) -> AsyncGenerator[Json, None]:
        """`chat.completion.chunk` objects. Raises what the request fails with."""
        for index in range(len(self._parts)):
            yield self._chunk(index, {"role": "assistant", "content": ""})
        async for event in events:
            found = self._take(event)
            if isinstance(event, Delta | ChoiceEnd):
                deltas = [self._delta(event.choice, part) for part in found]
                tokens = [wire_logprob(token) for token in event.logprobs] if isinstance(event, Delta) else []
                if tokens and not deltas:  # of text that is held back
                    deltas = [{"content": ""}]
                for number, delta in enumerate(deltas):
                    logprobs = self._logprobs_of(tokens if number == 0 else [])
                    yield self._chunk(event.choice, delta, logprobs=logprobs)
            if isinstance(event, ChoiceEnd):
                reason = self._reasons[event.choice]
                yield self._chunk(event.choice, {}, finish_reason=reason, **self._format_error(event.choice))
        if self._has_usage:
            yield self._head | {"object": "chat.completion.chunk", "choices": [], "usage": self._usage}

    @property
    def _has_usage(self) -> bool:
        options = self._request.stream_options
        return options is not None and options.include_usage

    def _take(self, event: object) -> list[Part]:
        """The parts that an event has made certain."""
        found: list[Part] = []
        match event:
            case Delta():
                self._logprobs[event.choice] += [wire_logprob(token) for token in event.logprobs]
                found = self._parts[event.choice].push(event.text)
            case ChoiceEnd():
                parts = self._parts[event.choice]
                found = parts.finish()
                is_call = parts.calls and event.finish_reason == FinishReason.STOP
                self._reasons[event.choice] = "tool_calls" if is_call else str(event.finish_reason)
            case Done():
                reasoning_tokens = sum(parts.reasoning_tokens for parts in self._parts)
                self._usage = {
                    "prompt_tokens": event.prompt_tokens,
                    "completion_tokens": event.completion_tokens,
                    "total_tokens": event.prompt_tokens + event.completion_tokens,
                    "prompt_tokens_details": {"cached_tokens": event.cached_tokens},
                    "completion_tokens_details": {"reasoning_tokens": reasoning_tokens},
                }
        return found

    def _delta(self, index: int, part: Part) -> Json:
        match part:
            case Thought():
                return {"reasoning_content": part.text}
            case ToolCall():
                # Parts of one event come together, so the call's place is that of this very call.
                number = next(n for n, call in enumerate(self._parts[index].calls) if call.id == part.id)
                return {"tool_calls": [{"index": number} | _call(part)]}
        return {"content": part}

    def _chunk(self, index: int, delta: Json, *, finish_reason: str | None = None, **more: Json) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason} | more
        usage = {"usage": None} if self._has_usage else {}
        return self._head | {"object": "chat.completion.chunk", "choices": [choice]} | usage

    def _logprobs_of(self, content: list[Json]) -> Json:
        return {"content": content, "refusal": None} if self._request.logprobs else None

    def _format_error(self, index: int) -> dict[str, Json]:
        if self._parts[index].calls:
            return {}
        error = format_error(self._parts[index].text, self._request.response_format)
        return {} if error is None else {"format_error": error}


def _call(call: ToolCall) -> dict[str, Json]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def wire_logprob(token: TokenLogprob) -> dict[str, Json]:
    """With its alternatives; they have none themselves."""
    return _plain(token) | {"top_logprobs": [_plain(other) for other in token.top]}


def _plain(token: TokenLogprob) -> dict[str, Json]:
    # JSON has no infinity: a token that cannot come gets the number that OpenAI gives it.
    return {"token": token.text, "logprob": max(token.logprob, -9999.0), "bytes": list(token.data)}
