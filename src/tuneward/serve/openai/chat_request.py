"""The body of `POST /v1/chat/completions`, checked. Unknown parameters are ignored.

Source: OpenAI RFT contract, 7.2.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from jsonschema import SchemaError
from jsonschema.validators import validator_for
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from tuneward.serve.openai.tool_choice import checked_choice, checked_tools
from tuneward.types import Json


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


def _join_parts(content: Json) -> Json:
    """A list of text parts is one text."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ValueError("expected a string or a list of text parts")
    for number, part in enumerate(content):
        if not (isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)):
            raise ValueError(f"part {number} is not a text part; this server reads text only")
    return "".join(part["text"] for part in content)


class ChatMessage(_Wire):
    """One message."""

    model_config = ConfigDict(strict=True, extra="allow")

    role: Literal["developer", "system", "user", "assistant", "tool"]
    content: Annotated[str | None, BeforeValidator(_join_parts)] = None
    tool_calls: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _has_something_to_say(self) -> ChatMessage:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError("content is missing")
        return self

    def for_template(self) -> dict[str, Json]:
        """As chat templates know messages: no developer role, arguments of tool calls as objects."""
        message = self.model_dump(exclude_none=True) | {"content": self.content or ""}
        if self.role == "developer":
            message["role"] = "system"
        if self.tool_calls:
            message["tool_calls"] = [_with_parsed_arguments(call) for call in self.tool_calls]
        return message


def _with_parsed_arguments(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        return call | {"function": function | {"arguments": json.loads(function["arguments"])}}
    except ValueError:
        return call


def checked_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Raises ValueError when it is no JSON schema."""
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"not a JSON schema ({error.message})") from None
    except Exception as error:  # a $schema of the wrong type, references in circles, …
        raise ValueError(f"not a JSON schema ({type(error).__name__})") from None
    return schema


class JsonSchema(_Wire):
    """`response_format.json_schema`."""

    name: str = "answer"
    schema_: dict[str, Any] = Field(default_factory=dict, alias="schema")

    @field_validator("schema_")
    @classmethod
    def _is_a_schema(cls, schema: dict[str, Any]) -> dict[str, Any]:
        return checked_schema(schema)


class ResponseFormat(_Wire):
    """`response_format`."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _names_its_schema(self) -> ResponseFormat:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("json_schema is missing")
        return self


class StreamOptions(_Wire):
    include_usage: bool = False


class SampledRequest(_Wire):
    """What chats and plain texts have in common: the model, and how answers are drawn."""

    model: str
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    n: int | None = Field(None, ge=1, le=128)
    stop: Annotated[list[str] | None, BeforeValidator(lambda stop: [stop] if isinstance(stop, str) else stop)] = Field(
        None, max_length=4
    )
    seed: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, float] | None = None

    @field_validator("logit_bias")
    @classmethod
    def _is_by_token(cls, bias: dict[str, float] | None) -> dict[str, float] | None:
        if bias and not all(token.isdecimal() and -100 <= value <= 100 for token, value in bias.items()):
            raise ValueError("keys are token ids and values from -100 to 100")
        return bias


class ChatRequest(SampledRequest):
    """The whole body."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    """The old name; the new one goes before it."""
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None

    @field_validator("top_logprobs")
    @classmethod
    def _needs_logprobs(cls, count: int | None, info: Any) -> int | None:
        if count is not None and not info.data.get("logprobs"):
            raise ValueError("needs logprobs: true")
        return count

    @field_validator("tools")
    @classmethod
    def _are_functions(cls, tools: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        return None if tools is None else checked_tools(tools)

    @field_validator("tool_choice")
    @classmethod
    def _can_be_kept(cls, choice: Json, info: Any) -> Json:
        return checked_choice(choice, info.data.get("tools") or ())
