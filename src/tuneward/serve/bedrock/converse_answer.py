"""Events of the engine → Converse's answer, whole or in events. Source: Bedrock RFT contract, 8.8."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Iterator, Sequence

from tuneward.engine.serving.request import ChoiceEnd, Delta, Done, ServingRequest
from tuneward.serve.catalog import ServedModel
from tuneward.serve.inference import Chat, EventStream
from tuneward.serve.openai.parts import AnswerParts, Part
from tuneward.serve.openai.reasoning import Thought
from tuneward.serve.openai.tool_calls import ToolCall
from tuneward.types import FinishReason, Json

Named = tuple[str, Json]
"""Name and payload of one event of ConverseStream."""


class ConverseAnswer:
    """The answer to one request as it comes.

    Args:
        chat: what was asked.
        model: who answers.
        wanted: the request as the engine has it.
        field_paths: `additionalModelResponseFieldPaths`; `/stop_sequence` and `/version` are known.
    """

    def __init__(self, chat: Chat, model: ServedModel, wanted: ServingRequest, field_paths: tuple[str, ...] = ()):
        self._began_s = time.monotonic()
        self._parts = AnswerParts(model.engine.tokenizer, wanted, chat.tools)
        self._max_tokens = chat.settings.max_tokens
        self._blocks: list[Json] = []
        self._kind = ""
        """Of the block that more may be added to."""
        self._end: ChoiceEnd | None = None
        self._done = Done(0, 0, 0)
        self._model = model
        self._field_paths = field_paths

    @property
    def latency_ms(self) -> int:
        return round(1000 * (time.monotonic() - self._began_s))

    async def collect(self, events: EventStream) -> None:
        """Take in all events. Raises what the request fails with."""
        async for _event in self.events(events):
            pass

    async def events(self, events: EventStream) -> AsyncGenerator[Named, None]:
        """The events of ConverseStream. Raises what the request fails with."""
        yield "messageStart", {"role": "assistant"}
        async for event in events:
            match event:
                case Delta():
                    for named in self._grown(self._parts.push(event.text)):
                        yield named
                case ChoiceEnd():
                    self._end = event
                    # Clients look at the first block, so there is one.
                    for named in self._grown(self._parts.finish() or ([] if self._blocks else [""])):
                        yield named
                case Done():
                    self._done = event
        for named in self._close():
            yield named
        yield "messageStop", {"stopReason": self.stop_reason} | self._fields()
        yield "metadata", {"usage": self._usage(), "metrics": {"latencyMs": self.latency_ms}}

    def body(self) -> Json:
        """The answer of Converse, once all events are there."""
        return {
            "output": {"message": {"role": "assistant", "content": self._blocks}},
            "stopReason": self.stop_reason,
            "usage": self._usage(),
            "metrics": {"latencyMs": self.latency_ms},
        } | self._fields()

    @property
    def stop_reason(self) -> str:
        """Why it ended, once it has."""
        end = self._end
        if end is not None and end.finish_reason == FinishReason.LENGTH:
            is_cut = self._max_tokens is not None and self._done.completion_tokens >= self._max_tokens
            return "max_tokens" if is_cut else "model_context_window_exceeded"
        if any("toolUse" in block for block in self._blocks):
            return "tool_use"
        return "stop_sequence" if end is not None and end.stopped_by is not None else "end_turn"

    def _grown(self, parts: Sequence[Part]) -> Iterator[Named]:
        for part in parts:
            match part:
                case Thought():
                    yield from self._grow("reasoningContent", part.text)
                case ToolCall():
                    yield from self._add_call(part)
                case _:
                    yield from self._grow("text", part)

    def _add_call(self, call: ToolCall) -> Iterator[Named]:
        yield from self._close()
        index = len(self._blocks)
        use = {"toolUseId": call.id, "name": call.name}
        self._blocks.append({"toolUse": use | {"input": json.loads(call.arguments)}})
        self._kind = "toolUse"
        yield "contentBlockStart", {"start": {"toolUse": use}, "contentBlockIndex": index}
        yield "contentBlockDelta", {"delta": {"toolUse": {"input": call.arguments}}, "contentBlockIndex": index}
        yield from self._close()

    def _grow(self, kind: str, text: str) -> Iterator[Named]:
        """More text of an answer or of its reasoning."""
        if self._kind != kind:
            yield from self._close()
            self._kind = kind
            self._blocks.append({"text": ""} if kind == "text" else {kind: {"reasoningText": {"text": ""}}})
        block = self._blocks[-1]
        (block if kind == "text" else block[kind]["reasoningText"])["text"] += text
        delta: Json = {"text": text} if kind == "text" else {kind: {"text": text}}
        yield "contentBlockDelta", {"delta": delta, "contentBlockIndex": len(self._blocks) - 1}

    def _close(self) -> Iterator[Named]:
        if self._kind:
            self._kind = ""
            yield "contentBlockStop", {"contentBlockIndex": len(self._blocks) - 1}

    def _usage(self) -> Json:
        done = self._done
        return {
            "inputTokens": done.prompt_tokens,
            "outputTokens": done.completion_tokens,
            "totalTokens": done.prompt_tokens + done.completion_tokens,
            "cacheReadInputTokens": done.cached_tokens,
            "cacheWriteInputTokens": 0,
        }

    def _fields(self) -> dict[str, Json]:
        known = {"/stop_sequence": self._end.stopped_by if self._end else None, "/version": self._model.version}
        fields = {path[1:]: known[path] for path in self._field_paths if path in known}
        return {"additionalModelResponseFields": fields} if fields else {}
