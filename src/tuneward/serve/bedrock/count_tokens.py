"""The body of CountTokens → what is counted. Source: Bedrock RFT contract, 8.8."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from tuneward.serve.bedrock.converse import chat_of
from tuneward.serve.bedrock.converse_request import ConverseBody, Wire
from tuneward.serve.bedrock.invoke import parse_body, read_native
from tuneward.serve.inference import Chat


def _is_base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None
    return text


class InvokeModelInput(Wire):
    body: Annotated[str, AfterValidator(_is_base64)]
    """Base64 of a body of InvokeModel."""


class CountTokensInput(Wire):
    converse: ConverseBody | None = None
    invoke_model: InvokeModelInput | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_one_member(cls, value: Any) -> Any:
        if isinstance(value, dict) and (value.get("converse") is None) == (value.get("invokeModel") is None):
            raise ValueError("expected one of converse, invokeModel")
        return value


class CountTokensBody(Wire):
    """The whole body."""

    wanted: CountTokensInput = Field(alias="input")

    def chat(self, model_id: str) -> Chat:
        """What would be asked. Raises what `read_native` raises."""
        if self.wanted.converse is not None:
            return chat_of(self.wanted.converse)
        assert self.wanted.invoke_model is not None
        return read_native(parse_body(base64.b64decode(self.wanted.invoke_model.body)), model_id).chat
