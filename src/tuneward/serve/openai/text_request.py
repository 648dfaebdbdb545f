"""The body of `POST /v1/completions`, checked, and the prompts that it asks to go on with.

Not in the contract; as OpenAI's client types it. Unknown parameters are ignored.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field, field_validator

from tuneward.engine.serving.request import ServingRequest
from tuneward.jobs.problems import InvalidRequestError
from tuneward.serve.catalog import ServedModel
from tuneward.serve.openai.chat import settings_of
from tuneward.serve.openai.chat_request import SampledRequest

Tokens = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
MOST_PROMPTS = 128


class TextRequest(SampledRequest):
    """The whole body."""

    prompt: (
        str
        | Tokens
        | Annotated[list[str], Field(min_length=1, max_length=MOST_PROMPTS)]
        | Annotated[list[Tokens], Field(min_length=1, max_length=MOST_PROMPTS)]
    )
    max_tokens: int | None = Field(16, ge=1)
    logprobs: int | None = Field(None, ge=0, le=20)
    """So many alternatives for each token, besides the token's own."""
    echo: bool | None = None
    best_of: int | None = None
    suffix: str | None = None

    @field_validator("echo", "suffix")
    @classmethod
    def _is_not_asked(cls, value: object) -> object:
        if value:
            raise ValueError("not supported; leave it out")
        return value

    @field_validator("best_of")
    @classmethod
    def _is_all(cls, count: int | None, info: object) -> int | None:
        if count is not None and count != (getattr(info, "data", {}).get("n") or 1):
            raise ValueError("not supported; ask for all of them with n")
        return count

    def wanted(self, model: ServedModel) -> list[ServingRequest]:
        """A request for each prompt; takes milliseconds, so call it in a thread.

        Raises:
            InvalidRequestError: a token that the model does not know.
        """
        alone = isinstance(self.prompt, str) or isinstance(self.prompt[0], int)
        settings = replace(
            settings_of(self), max_tokens=self.max_tokens, top_logprobs=self.logprobs, adapter=model.adapter
        )
        return [replace(settings, prompt=_tokens(one, model)) for one in ([self.prompt] if alone else self.prompt)]


def _tokens(prompt: object, model: ServedModel) -> tuple[int, ...]:
    tokenizer = model.engine.tokenizer.tokenizer
    if isinstance(prompt, str):
        return tuple(tokenizer(prompt)["input_ids"])
    assert isinstance(prompt, list)
    if unknown := [token for token in prompt if token >= len(tokenizer)]:
        message = f"prompt: the token {unknown[0]} is none of this model's; it has 0 to {len(tokenizer) - 1}."
        raise InvalidRequestError(message, param="prompt", code="invalid_value")
    return tuple(prompt)
