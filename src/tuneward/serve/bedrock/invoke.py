"""Bodies of InvokeModel in the native forms of models, told apart by what is in them, and their answers.

`messages` with blocks of content as in Converse is the form of Nova (`messages-v1`), answered like Converse;
`messages` otherwise is a chat completion. Source: Bedrock RFT contract, 8.8.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from tuneward.engine.serving.request import ServingRequest
from tuneward.serve.aws_errors import AwsError
from tuneward.serve.bedrock.converse import chat_of as chat_of_converse
from tuneward.serve.bedrock.converse_answer import ConverseAnswer
from tuneward.serve.bedrock.converse_request import ConverseBody
from tuneward.serve.catalog import ServedModel
from tuneward.serve.inference import Chat, EventStream
from tuneward.serve.openai.chat import chat_of as chat_of_completion
from tuneward.serve.openai.chat_answer import Answer
from tuneward.serve.openai.chat_request import ChatRequest
from tuneward.types import Json


class NativeAnswer(Protocol):
    """An answer in a model's native form as it comes."""

    async def collect(self, events: EventStream) -> None: ...

    def chunks(self, events: EventStream) -> AsyncGenerator[Json, None]: ...

    def body(self) -> Json: ...


@dataclass(frozen=True, slots=True)
class Native:
    """A checked body: what it asks, and how its answer is written."""

    chat: Chat
    answer: Callable[[ServedModel, ServingRequest], NativeAnswer]


def read_native(value: Json, model_id: str) -> Native:
    """What a body asks.

    Args:
        value: the body.
        model_id: as the caller named the model; stands in chat completions.

    Raises:
        AwsError: it has no form that is known.
        RequestValidationError: it breaks the rules of its form.
    """
    if not isinstance(value, dict):
        raise AwsError("ValidationException", 400, "The body is not a JSON object.")
    if "messages" not in value or "anthropic_version" in value:
        forms = 'Nova\'s ("schemaVersion": "messages-v1") and chat completions'
        raise AwsError("ValidationException", 400, f"The body has none of the forms known here: {forms}.")
    if _is_nova(value):
        body = _checked(ConverseBody, value | {"additionalModelRequestFields": _fields_of(value)})
        chat = chat_of_converse(body)
        return Native(chat, lambda model, wanted: NovaAnswer(chat, model, wanted))
    request = _checked(ChatRequest, value | {"model": model_id})
    return Native(chat_of_completion(request), lambda model, wanted: Answer(request, model, wanted))


def parse_body(data: bytes) -> Json:
    """The JSON of a body. Raises AwsError."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise AwsError("ValidationException", 400, "The body is not JSON.") from None


def _is_nova(value: dict[str, Json]) -> bool:
    if value.keys() & {"schemaVersion", "inferenceConfig", "toolConfig", "system"}:
        return True
    messages = value["messages"] if isinstance(value["messages"], list) else []
    contents = [message.get("content") for message in messages if isinstance(message, dict)]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return any(isinstance(block, dict) and "type" not in block for block in blocks)


def _fields_of(value: dict[str, Json]) -> Json:
    """Nova has `topK` beside the other settings."""
    return {name: value[name] for name in ("inferenceConfig", "seed") if name in value}


def _checked(kind: type[BaseModel], value: dict[str, Json]) -> Any:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        problems = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise RequestValidationError(problems) from None


class NovaAnswer(ConverseAnswer):
    """Converse's answer with the names that Nova itself has."""

    async def chunks(self, events: EventStream) -> AsyncGenerator[Json, None]:
        """Events as objects of one entry. Raises what the request fails with."""
        async for name, payload in self.events(events):
            yield {name: payload}
