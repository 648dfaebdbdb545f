"""The body of Converse and ConverseStream, checked. Source: Bedrock RFT contract, 8.8."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from tuneward.serve.bedrock.invocation_log import checked_metadata
from tuneward.serve.openai.chat_request import JsonSchema, ResponseFormat, checked_schema
from tuneward.types import Json

LARGEST_TOKENS = 2**31 - 1


class Wire(BaseModel):
    """Names as they are on the wire; what is not known is ignored."""

    model_config = ConfigDict(
        strict=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, allow_inf_nan=False
    )


class _Union(Wire):
    """Exactly one of its members is there, and it is one that this server can use."""

    @model_validator(mode="before")
    @classmethod
    def _has_one_member(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        known = [to_camel(name) for name in cls.model_fields]
        given = [str(name) for name, member in value.items() if member is not None]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ValueError(f"{unknown[0][:40]} is not supported; this server takes {', '.join(known)}")
        if len(given) != 1:
            raise ValueError(f"expected one of {', '.join(known)}")
        return value


class ToolUse(Wire):
    """A call that the model has asked for."""

    tool_use_id: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=64)
    input: dict[str, Any]


class ToolResultBlock(_Union):
    text: str | None = None
    json_: Any = Field(None, alias="json")

    @model_validator(mode="before")
    @classmethod
    def _has_one_member(cls, value: Any) -> Any:
        if not isinstance(value, dict) or len(value) != 1 or not value.keys() <= {"text", "json"}:
            names = ", ".join(str(name)[:40] for name in value) if isinstance(value, dict) else "no object"
            raise ValueError(f"{names} is not supported in a tool result; this server takes text or json")
        return value

    def as_text(self) -> str:
        return self.text if self.text is not None else json.dumps(self.json_, ensure_ascii=False)


class ToolResult(Wire):
    """What a call has given."""

    tool_use_id: str = Field(min_length=1, max_length=64)
    content: list[ToolResultBlock]


class ContentBlock(_Union):
    """A piece of a message."""

    text: str | None = None
    tool_use: ToolUse | None = None
    tool_result: ToolResult | None = None
    reasoning_content: dict[str, Any] | None = None
    """Accepted and left out: templates show a model none of its earlier reasoning."""
    cache_point: dict[str, Any] | None = None
    """Accepted and not needed: beginnings that come again are found without it."""


class Message(Wire):
    role: Literal["user", "assistant", "system"]
    content: list[ContentBlock] = Field(min_length=1)

    @model_validator(mode="after")
    def _says_what_its_role_may(self) -> Message:
        for block in self.content:
            if block.tool_use is not None and self.role != "assistant":
                raise ValueError(f"a message of the {self.role} has no toolUse")
            if block.tool_result is not None and self.role != "user":
                raise ValueError(f"a message of the {self.role} has no toolResult")
        return self


class SystemBlock(_Union):
    text: str | None = Field(None, min_length=1)
    cache_point: dict[str, Any] | None = None


class InferenceConfig(Wire):
    max_tokens: int | None = Field(None, ge=1, le=LARGEST_TOKENS)
    temperature: float | None = Field(None, ge=0, le=1)
    top_p: float | None = Field(None, ge=0, le=1)
    stop_sequences: list[Annotated[str, Field(min_length=1)]] | None = Field(None, max_length=2500)


class InputSchema(_Union):
    json_: dict[str, Any] | None = Field(None, alias="json")

    @model_validator(mode="before")
    @classmethod
    def _has_one_member(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("json"), dict):
            raise ValueError("json is missing, or is no object")
        checked_schema(value["json"])
        return value


class ToolSpec(Wire):
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str | None = Field(None, min_length=1)
    input_schema: InputSchema


class Tool(_Union):
    tool_spec: ToolSpec | None = None
    cache_point: dict[str, Any] | None = None


class NamedTool(Wire):
    name: str


class ToolChoice(_Union):
    auto: dict[str, Any] | None = None
    any: dict[str, Any] | None = None
    tool: NamedTool | None = None


class ToolConfig(Wire):
    tools: list[Tool] = Field(min_length=1)
    tool_choice: ToolChoice | None = None

    @model_validator(mode="after")
    def _names_each_tool_once(self) -> ToolConfig:
        names = [tool.tool_spec.name for tool in self.tools if tool.tool_spec is not None]
        twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
        if twice is not None:
            raise ValueError(f"two tools are called {twice}")
        wanted = self.tool_choice.tool.name if self.tool_choice and self.tool_choice.tool else None
        if wanted is not None and wanted not in names:
            raise ValueError(f"toolChoice.tool.name is {wanted[:64]}, which is no tool of this request")
        return self


class _JsonSchemaText(Wire):
    schema_: str = Field(alias="schema")
    name: str | None = None


class _Structure(Wire):
    json_schema: _JsonSchemaText


class TextFormat(Wire):
    type: Literal["json_schema"]
    structure: _Structure

    def as_response_format(self) -> ResponseFormat:
        """Raises ValueError when it is no JSON schema."""
        text = self.structure.json_schema
        try:
            schema = json.loads(text.schema_)
        except (ValueError, RecursionError):
            raise ValueError("structure.jsonSchema.schema is not JSON") from None
        try:
            made = JsonSchema.model_validate({"schema": schema, "name": text.name or "answer"})
        except ValidationError as error:
            raise ValueError(f"structure.jsonSchema.schema: {error.errors()[0]['msg']}") from None
        return ResponseFormat(type="json_schema", json_schema=made)


class OutputConfig(Wire):
    text_format: TextFormat | None = None

    @field_validator("text_format")
    @classmethod
    def _is_a_schema(cls, wanted: TextFormat | None) -> TextFormat | None:
        if wanted is not None:
            wanted.as_response_format()
        return wanted


class ModelFields(Wire):
    """`additionalModelRequestFields`: what models take beside `inferenceConfig`."""

    model_config = ConfigDict(alias_generator=None, populate_by_name=True)

    top_k: int | None = Field(None, ge=1, le=LARGEST_TOKENS)
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)

    @model_validator(mode="before")
    @classmethod
    def _finds_top_k(cls, value: Any) -> Any:
        """Models write it in three ways."""
        if not isinstance(value, dict) or "top_k" in value:
            return value
        nested = value.get("inferenceConfig")
        found = value.get("topK", nested.get("topK") if isinstance(nested, dict) else None)
        return value | {"top_k": found}


class ConverseBody(Wire):
    """The whole body."""

    messages: list[Message] = Field(min_length=1)
    system: list[SystemBlock] | None = None
    inference_config: InferenceConfig = InferenceConfig()
    tool_config: ToolConfig | None = None
    output_config: OutputConfig = OutputConfig()
    additional_model_request_fields: ModelFields = ModelFields()
    additional_model_response_field_paths: list[str] | None = Field(None, max_length=10)
    request_metadata: Annotated[dict[str, str], AfterValidator(checked_metadata)] | None = None
    prompt_variables: Any = None
    guardrail_config: Any = None

    @field_validator("prompt_variables")
    @classmethod
    def _has_no_stored_prompt(cls, value: Json) -> Json:
        if value is not None:
            raise ValueError("there are no stored prompts here; send the messages themselves")
        return value

    @field_validator("guardrail_config")
    @classmethod
    def _has_no_guardrail(cls, value: Json) -> Json:
        if value is not None:
            raise ValueError("there are no guardrails here; leave it out and check the answer yourself")
        return value
