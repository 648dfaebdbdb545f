"""What a rubric's variables stand for in one sample."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from tuneward.types import Json, Message, Row, Sample

RESPONSE = "response"
BUILT_IN = {RESPONSE: "", "prompt": "messages", "reference": "reference_answer"}
"""Variable → field of the row; the response comes from the sample."""


class MissingVariableError(Exception):
    """The row has nothing for a variable; the text says which, and what to do."""


def values_of(sample: Sample, variables: Iterable[str], fields: Mapping[str, str]) -> dict[str, str]:
    """The text of each variable.

    Args:
        fields: variable → dotted field of the row, as in `judge.variables`; a variable that is neither there nor
            built in is the row's field of its own name.

    Raises:
        MissingVariableError: the row lacks the field, or holds null there.
    """
    values: dict[str, str] = {}
    for name in variables:
        if name == RESPONSE:
            values[name] = sample.completion
            continue
        field = fields.get(name) or BUILT_IN.get(name, name)
        value = _look_up(sample.row, field)
        if value is None:
            place = f", line {sample.row.line}" if sample.row.line else ""
            raise MissingVariableError(
                f'Row {sample.row.id}{place} has no "{field}", which the rubric needs for {{{{{name}}}}}. '
                f"Add it to the row, or name another field with judge.variables: {{{name}: FIELD}}."
            )
        values[name] = _conversation(value) if field == "messages" else as_text(value)
    return values


def as_text(value: Json) -> str:
    """A string as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _look_up(row: Row, field: str) -> Json:
    """The value at a dotted path; None when there is none. Other names than the row's own are those of metadata."""
    first, *rest = field.split(".")
    tops: dict[str, Json] = {
        "id": row.id,
        "messages": row.messages,
        "reference_answer": row.reference_answer,
        "metadata": row.metadata,
    }
    value = tops[first] if first in tops else row.metadata.get(first)
    for part in rest:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list | tuple) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _conversation(messages: Iterable[Message]) -> str:
    """One message as its text, several with their roles."""
    messages = list(messages)
    if len(messages) == 1:
        return as_text(messages[0].get("content"))
    return "\n\n".join(f"{message.get('role')}: {_said(message)}" for message in messages)


def _said(message: Message) -> str:
    """Text of a message, and its tool calls."""
    parts = [as_text(message[name]) for name in ("content", "tool_calls") if message.get(name)]
    return "\n".join(parts)
