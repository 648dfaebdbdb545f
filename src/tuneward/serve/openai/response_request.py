"""The body of `POST /v1/responses`, checked, and what it asks. Unknown parameters are ignored.

Source: OpenAI RFT contract, 7.3.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tuneward.engine.serving.request import ServingRequest
from tuneward.jobs.problems import InvalidRequestError
from tuneward.serve.inference import LEAST_TOP_P, Chat, call_schema
from tuneward.serve.openai.chat_request import JsonSchema, ResponseFormat
from tuneward.serve.openai.tool_choice import checked_choice, checked_tools, forced_tools
from tuneward.types import Json

_TEXTS = ("input_text", "output_text", "text", "summary_text")


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class TextFormat(_Wire):
    """`text.format`: flat, unlike in chat completions."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str = "answer"
    schema_: dict[str, Any] | None = Field(None, alias="schema")

    @model_validator(mode="after")
    def _has_a_schema(self) -> TextFormat:
        if self.type == "json_schema":
            if self.schema_ is None:
                raise ValueError("schema is missing")
            JsonSchema.model_validate({"name": self.name, "schema": self.schema_})
        return self


class TextSettings(_Wire):
    format: TextFormat = Field(default_factory=TextFormat)


Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]


class ResponseRequest(_Wire):
    """The whole body."""

    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_logprobs: int | None = Field(None, ge=0, le=20)
    include: list[str] | None = None
    stream: bool | None = None
    text: TextSettings | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    metadata: Metadata | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    truncation: Literal["auto", "disabled"] | None = None
    background: bool | None = None
    conversation: Any = None
    prompt: Any = None

    @field_validator("background", "conversation", "prompt")
    @classmethod
    def _is_not_known(cls, value: Json) -> Json:
        if value not in (None, False):
            raise ValueError("is not known here; leave it out")
        return value

    @field_validator("tools")
    @classmethod
    def _are_functions(cls, tools: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        if tools is not None:
            checked_tools(as_chat_tools(tools))
        return tools

    @field_validator("tool_choice")
    @classmethod
    def _can_be_kept(cls, choice: Json, info: Any) -> Json:
        checked_choice(_as_chat_choice(choice), as_chat_tools(info.data.get("tools") or []))
        return choice

    @property
    def is_stored(self) -> bool:
        return self.store is not False

    @property
    def has_logprobs(self) -> bool:
        return bool(self.top_logprobs) or "message.output_text.logprobs" in (self.include or ())

    @property
    def callable_tools(self) -> list[dict[str, Json]]:
        """Tools in the form of chat completions; none when they must not be called."""
        return [] if self.tool_choice == "none" else as_chat_tools(self.tools or [])

    @property
    def response_format(self) -> ResponseFormat | None:
        """`text.format` in the form of chat completions."""
        wanted = self.text.format if self.text else TextFormat()
        if wanted.type != "json_schema":
            return ResponseFormat(type=wanted.type)
        return ResponseFormat.model_validate({
            "type": "json_schema", "json_schema": {"name": wanted.name, "schema": wanted.schema_}
        })  # fmt: skip

    def input_items(self) -> list[dict[str, Any]]:
        """The input as items."""
        if isinstance(self.input, str):
            return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": self.input}]}]
        return self.input

    def chat(self, before: Sequence[dict[str, Json]]) -> Chat:
        """What is asked.

        Args:
            before: the conversation that the input goes on with; the instructions of its time are no part of it.

        Raises:
            InvalidRequestError: an item that cannot be read here.
        """
        messages = [*before, *messages_of(self.input_items())]
        if self.instructions:
            messages = [{"role": "system", "content": self.instructions}, *messages]
        if not messages:
            raise InvalidRequestError("input has no items.", param="input", code="invalid_value")
        settings = ServingRequest(
            prompt=(),
            max_tokens=self.max_output_tokens,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else max(self.top_p, LEAST_TOP_P),
            top_logprobs=(self.top_logprobs or 0) if self.has_logprobs else None,
        )
        tools = self.callable_tools
        forced = forced_tools(_as_chat_choice(self.tool_choice), tools)
        return Chat(
            messages, settings, tuple(tools), self.response_format, held_to=call_schema(forced) if forced else None
        )


def as_chat_tools(tools: Sequence[dict[str, Json]]) -> list[dict[str, Json]]:
    """Flat tools in the form of chat completions; what is no function stays as it is, to be refused."""
    return [
        {"type": "function", "function": {key: value for key, value in tool.items() if key not in ("type", "strict")}}
        if tool.get("type") == "function"
        else tool
        for tool in tools
    ]


def _as_chat_choice(choice: Json) -> Json:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice


def messages_of(items: Sequence[dict[str, Any]]) -> list[dict[str, Json]]:
    """Items as chat templates know messages. Raises InvalidRequestError."""
    messages: list[dict[str, Json]] = []
    for number, item in enumerate(items):
        where = f"input[{number}]"
        kind = item.get("type") or "message"
        if kind == "message":
            messages.append({"role": _role(item, where), "content": _text(item.get("content"), f"{where}.content")})
        elif kind == "function_call":
            call = _call(item, where)
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": ""})
            messages[-1]["tool_calls"] = [*messages[-1].get("tool_calls", ()), call]
        elif kind == "function_call_output":
            result = {"role": "tool", "tool_call_id": str(item.get("call_id"))}
            messages.append(result | {"content": _text(item.get("output"), f"{where}.output")})
        elif kind != "reasoning":  # what was thought before is no part of a conversation
            raise _refusal(where, f"items of type {str(kind)[:40]!r} cannot be read here")
    return messages


def _role(item: dict[str, Any], where: str) -> str:
    role = item.get("role")
    if role not in ("user", "assistant", "system", "developer"):
        raise _refusal(f"{where}.role", "expected user, assistant, system or developer")
    return "system" if role == "developer" else str(role)


def _text(content: Json, where: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise _refusal(where, "expected a string or a list of text parts")
    texts = []
    for number, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") not in _TEXTS or not isinstance(part.get("text"), str):
            raise _refusal(f"{where}[{number}]", "not a text part; this server reads text only")
        texts.append(part["text"])
    return "".join(texts)


def _call(item: dict[str, Any], where: str) -> dict[str, Json]:
    arguments = item.get("arguments")
    if not isinstance(item.get("name"), str) or not isinstance(arguments, str):
        raise _refusal(where, "a function_call has name and arguments")
    try:
        parsed = json.loads(arguments)
    except ValueError:
        parsed = arguments
    function = {"name": item["name"], "arguments": parsed}
    return {"id": str(item.get("call_id")), "type": "function", "function": function}


def _refusal(where: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"Invalid value for '{where}': {reason}.", param=where, code="invalid_value")
