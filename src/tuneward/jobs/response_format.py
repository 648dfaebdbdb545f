"""`response_format`: what a model is told about the form of its answer, the same words in training and when served."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tuneward.types import Json, Row

NOT_SYSTEM = ("user", "assistant", "tool")


def instruction(schema: Json | None) -> str:
    """What the model is told: to answer in JSON, by a JSON schema where there is one."""
    text = "Answer with one JSON object and nothing else."
    if schema is not None:
        text += f" It must follow this JSON schema:\n{json.dumps(schema, ensure_ascii=False)}"
    return text


def instructed_messages(messages: Sequence[Mapping[str, Json]], text: str) -> list[dict[str, Json]]:
    """Messages with a text at the end of the system message, which is made where there is none."""
    first = messages[0] if messages else {}
    if not messages or first.get("role") in NOT_SYSTEM:
        return [{"role": "system", "content": text}, *map(dict, messages)]
    content = first.get("content")
    longer = (
        [*content, {"type": "text", "text": f"\n\n{text}"}] if isinstance(content, list) else f"{content}\n\n{text}"
    )
    return [{**first, "content": longer}, *map(dict, messages[1:])]


def with_response_format(row: dict[str, Json], response_format: Mapping[str, Json] | None) -> dict[str, Json]:
    """A row of a dataset whose messages ask for the form.

    Args:
        row: as it stands in the file; one without a list of messages is returned as it is, for the checks to find.
        response_format: in the form of chat completions, `{"type", "json_schema": {"name", "schema", …}}`; None and
            `text` change nothing.

    Source: OpenAI RFT contract, 3.2 and 4.
    """
    messages = row.get("messages")
    text = _instruction_of(response_format)
    if text is None:
        return row
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        return row
    return {**row, "messages": instructed_messages(messages, text)}


def asked_in_form(row: Row, response_format: Mapping[str, Json] | None) -> Row:
    """The same for a row that has been read."""
    text = _instruction_of(response_format)
    return row if text is None else replace(row, messages=tuple(instructed_messages(row.messages, text)))


def _instruction_of(response_format: Mapping[str, Json] | None) -> str | None:
    if response_format is None or response_format["type"] == "text":
        return None
    return instruction(response_format["json_schema"]["schema"] if response_format["type"] == "json_schema" else None)
