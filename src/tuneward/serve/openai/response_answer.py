"""Events of the engine → answers of the Responses API, whole or in events. Source: OpenAI RFT contract, 7.3."""

from __future__ import annotations

import copy
import time
from collections.abc import AsyncGenerator, Iterator

from tuneward.engine.serving.request import ChoiceEnd, Delta, Done, ServingRequest
from tuneward.serve.catalog import ServedModel
from tuneward.serve.errors import as_api_error
from tuneward.serve.inference import EventStream
from tuneward.serve.openai.chat_answer import wire_logprob
from tuneward.serve.openai.parts import AnswerParts, Part
from tuneward.serve.openai.reasoning import Thought
from tuneward.serve.openai.response_request import ResponseRequest
from tuneward.serve.openai.tool_calls import ToolCall
from tuneward.store.ids import new_id
from tuneward.types import FinishReason, Json

_PARTS: dict[str, Json] = {
    "message": {"type": "output_text", "text": "", "annotations": [], "logprobs": []},
    "reasoning": {"type": "reasoning_text", "text": ""},
}
_NAMES = {"message": "output_text", "reasoning": "reasoning_text"}


class ResponseAnswer:
    """The answer to one request as it comes.

    Args:
        request: as it came.
        model: who answers.
        wanted: the request as the engine has it.
    """

    def __init__(self, request: ResponseRequest, model: ServedModel, wanted: ServingRequest):
        self.id = new_id("resp_", length=32)
        self.created_at = time.time()
        self._request, self._model = request, model
        self._parts = AnswerParts(model.engine.tokenizer, wanted, request.callable_tools)
        self._output: list[Json] = []
        self._open = ""
        """Type of the last item while more may be added to it."""
        self._logprobs: list[Json] = []
        """Of tokens whose text is still to come."""
        self._status = "in_progress"
        self._error: Json = None
        self._usage: Json = None
        self._sequence = 0

    @property
    def message(self) -> dict[str, Json]:
        """The answer as chat templates know messages, once it is complete."""
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in self._parts.calls
        ]
        return {"role": "assistant", "content": self._parts.text} | ({"tool_calls": calls} if calls else {})

    async def collect(self, events: EventStream) -> None:
        """Take in all events. Raises what the request fails with."""
        async for _event in self._growth(events):
            pass

    async def events(self, events: EventStream) -> AsyncGenerator[Json, None]:
        """The events of a stream but the last, which `end` gives. Raises what the request fails with."""
        yield self._event("response.created", response=self.body())
        yield self._event("response.in_progress", response=self.body())
        async for event in self._growth(events):
            yield event

    def end(self) -> Json:
        """The last event."""
        return self._event(f"response.{self._status}", response=self.body())

    def failed(self, error: Exception) -> Json:
        """The last event of an answer that cannot be finished."""
        said = as_api_error(error)
        self._status, self._error = "failed", {"code": said.code or "server_error", "message": said.message}
        return self.end()

    def body(self) -> Json:
        """The `response` object as it is now."""
        request = self._request
        format_ = request.text.format.model_dump(by_alias=True, exclude_none=True) if request.text else {"type": "text"}
        is_cut = self._status == "incomplete"
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "completed_at": time.time() if self._status == "completed" else None,
            "status": self._status,
            "error": self._error,
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "model": self._model.id,
            "system_fingerprint": self._model.version,
            "output": list(self._output),
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "previous_response_id": request.previous_response_id,
            "reasoning": {"effort": None, "summary": None} | (request.reasoning or {}),
            "store": request.is_stored,
            "temperature": 1.0 if request.temperature is None else request.temperature,
            "text": {"format": format_},
            "tool_choice": request.tool_choice or "auto",
            "tools": request.tools or [],
            "top_p": 1.0 if request.top_p is None else request.top_p,
            "top_logprobs": request.top_logprobs or 0,
            "truncation": request.truncation or "disabled",
            "background": False,
            "metadata": request.metadata or {},
            "usage": self._usage,
        }

    async def _growth(self, events: EventStream) -> AsyncGenerator[Json, None]:
        reason = FinishReason.STOP
        async for event in events:
            found: list[Part] = []
            if isinstance(event, Delta):
                self._logprobs += [wire_logprob(token) for token in event.logprobs]
                found = self._parts.push(event.text)
            elif isinstance(event, ChoiceEnd):
                reason = event.finish_reason
                found = self._parts.finish()
            elif isinstance(event, Done):
                self._usage = {
                    "input_tokens": event.prompt_tokens,
                    "input_tokens_details": {"cached_tokens": event.cached_tokens, "cache_write_tokens": 0},
                    "output_tokens": event.completion_tokens,
                    "output_tokens_details": {"reasoning_tokens": self._parts.reasoning_tokens},
                    "total_tokens": event.prompt_tokens + event.completion_tokens,
                }
            for part in found:
                for made in self._part(part):
                    yield made
        if not any(item["type"] in ("message", "function_call") for item in self._output):  # clients look for one
            for made in self._grow("message", ""):
                yield made
        is_whole = reason == FinishReason.STOP
        for made in self._close("completed" if is_whole else "incomplete"):
            yield made
        self._status = "completed" if is_whole else "incomplete"

    def _part(self, part: Part) -> Iterator[Json]:
        match part:
            case Thought():
                yield from self._grow("reasoning", part.text)
            case ToolCall():
                yield from self._add_call(part)
            case _:
                yield from self._grow("message", part)

    def _add_call(self, call: ToolCall) -> Iterator[Json]:
        yield from self._close()
        index = len(self._output)
        item = {"id": new_id("fc_", length=32), "type": "function_call", "call_id": call.id, "name": call.name}
        begun = item | {"arguments": "", "status": "in_progress"}
        whole = item | {"arguments": call.arguments, "status": "completed"}
        place: dict[str, Json] = {"item_id": item["id"], "output_index": index}
        self._output.append(whole)
        name = "response.function_call_arguments"
        yield self._event("response.output_item.added", output_index=index, item=begun)
        yield self._event(f"{name}.delta", delta=call.arguments, **place)
        yield self._event(f"{name}.done", name=call.name, arguments=call.arguments, **place)
        yield self._event("response.output_item.done", output_index=index, item=whole)

    def _grow(self, kind: str, text: str) -> Iterator[Json]:
        """More text of an answer or of its reasoning."""
        if self._open != kind:
            yield from self._close()
            yield from self._begin(kind)
        self._output[-1]["content"][0]["text"] += text
        more: dict[str, Json] = {}
        if kind == "message":
            more["logprobs"], self._logprobs = self._logprobs, []
            self._output[-1]["content"][0]["logprobs"] += more["logprobs"]
        if text:
            yield self._event(f"response.{_NAMES[kind]}.delta", delta=text, **self._place(), **more)

    def _begin(self, kind: str) -> Iterator[Json]:
        self._open = kind
        head: Json = {"id": new_id("msg_" if kind == "message" else "rs_", length=32), "type": kind}
        more: dict[str, Json] = {"role": "assistant"} if kind == "message" else {"summary": []}
        head |= more
        begun = head | {"status": "in_progress", "content": []}
        part = copy.deepcopy(_PARTS[kind])
        self._output.append(begun | {"content": [part]})
        yield self._event("response.output_item.added", output_index=len(self._output) - 1, item=begun)
        name = "content_part" if kind == "message" else "reasoning_part"
        yield self._event(f"response.{name}.added", part=dict(_PARTS[kind]), **self._place())

    def _close(self, status: str = "completed") -> Iterator[Json]:
        """No more of the last item follows."""
        if not self._open:
            return
        kind, self._open = self._open, ""
        item = self._output[-1] = self._output[-1] | {"status": status}
        part = item["content"][0]
        more = {"logprobs": part["logprobs"]} if kind == "message" else {}
        yield self._event(f"response.{_NAMES[kind]}.done", text=part["text"], **self._place(), **more)
        name = "content_part" if kind == "message" else "reasoning_part"
        yield self._event(f"response.{name}.done", part=part, **self._place())
        yield self._event("response.output_item.done", output_index=len(self._output) - 1, item=item)

    def _place(self) -> dict[str, Json]:
        return {"item_id": self._output[-1]["id"], "output_index": len(self._output) - 1, "content_index": 0}

    def _event(self, kind: str, **fields: Json) -> Json:
        self._sequence += 1
        return {"type": kind, "sequence_number": self._sequence - 1} | fields
