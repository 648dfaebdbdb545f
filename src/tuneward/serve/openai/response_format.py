"""`response_format`: the model is told what to write, and held to it token by token.

What is written is checked as well: an answer that the token limit has cut off is returned as it is, and its choice has
a `format_error`, one sentence that says what is wrong.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jsonschema.validators import validator_for

from tuneward.jobs.response_format import instructed_messages, instruction
from tuneward.serve.openai.chat_request import ResponseFormat
from tuneward.types import Json

if TYPE_CHECKING:
    from tuneward.engine.serving.grammar import Grammar, GrammarMaker


def instructed(messages: list[dict[str, Json]], wanted: ResponseFormat | None) -> list[dict[str, Json]]:
    """Messages with the format described in the system message."""
    if wanted is None or wanted.type == "text":
        return messages
    return instructed_messages(messages, instruction(wanted.json_schema.schema_ if wanted.json_schema else None))


def grammar_of(wanted: ResponseFormat | None, grammars: GrammarMaker) -> Grammar | None:
    """What the answer is held to; None for plain text. Raises GrammarError."""
    if wanted is None or wanted.type == "text":
        return None
    return grammars.of_schema(wanted.json_schema.schema_ if wanted.json_schema else None)


def format_error(text: str, wanted: ResponseFormat | None) -> str | None:
    """What is wrong with an answer; None when nothing is, or nothing was asked for."""
    if wanted is None or wanted.type == "text":
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        return f"The answer is not JSON: {error}."
    if wanted.json_schema is None:
        return None if isinstance(value, dict) else "The answer is not a JSON object."
    schema = wanted.json_schema.schema_
    problem = next(iter(validator_for(schema)(schema).iter_errors(value)), None)
    return None if problem is None else f"{problem.json_path}: {problem.message}."
