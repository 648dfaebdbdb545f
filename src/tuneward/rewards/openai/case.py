"""What a grader sees: the dataset's row as `item`, the model's answer as `sample`.

Source: OpenAI grader contract, section 4.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from tuneward.types import Json, Sample

SAMPLE_VARIABLES = ("output_text", "output_json", "output_tools", "choices")

TOOL_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
"""How the open-weight models with tools that are common here write a call: a JSON object between these marks."""


@dataclass(frozen=True, slots=True)
class Case:
    """One answer to one row."""

    id: str
    item: Mapping[str, Json]
    sample: Mapping[str, Json]
    """The keys of SAMPLE_VARIABLES."""
    is_json: bool
    """The text is JSON, so that a null in `output_json` was written by the model."""


def case_of_sample(sample: Sample) -> Case:
    """What graders see of a completion in a run; reasoning is left out, calls of tools are read from the text."""
    row = sample.row
    own: dict[str, Json] = {
        "id": row.id,
        "messages": [dict(message) for message in row.messages],
        "metadata": dict(row.metadata),
    }
    if row.reference_answer is not None:
        own["reference_answer"] = row.reference_answer
    if row.tools:
        own["tools"] = [dict(tool) for tool in row.tools]
    item = {**row.metadata, **own}
    text = _final_text(sample.completion)
    calls = _tool_calls(text) if row.tools else []
    if calls:
        text = TOOL_CALL.sub("", text).strip()
    return case_of_text(sample.id, text, item, calls)


def case_of_text(case_id: str, text: str, item: Mapping[str, Json], tool_calls: list[Json] | None = None) -> Case:
    """What graders see of a text that is the answer.

    Args:
        tool_calls: in the shape of chat completions, `arguments` being JSON text.
    """
    calls = tool_calls or []
    message: dict[str, Json] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = calls
    parsed, is_json = _parse(text)
    sample = {
        "output_text": text,
        "output_json": parsed,
        "output_tools": calls,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
    }
    return Case(case_id, item, sample, is_json)


def _final_text(completion: str) -> str:
    """The completion without its reasoning; empty when it was cut off while reasoning."""
    _, mark, final = completion.partition("</think>")
    if mark:
        return final.lstrip()
    return "" if completion.lstrip().startswith("<think>") else completion


def _tool_calls(text: str) -> list[Json]:
    calls: list[Json] = []
    for written in TOOL_CALL.findall(text):
        call, _ = _parse(written)
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            continue
        arguments = call.get("arguments", {})
        function = {
            "name": call["name"],
            "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
        }
        calls.append({"id": f"call_{len(calls)}", "type": "function", "function": function})
    return calls


def _parse(text: str) -> tuple[Json, bool]:
    """The JSON value of a text, and whether it is JSON."""
    try:
        return parse_json(text), True
    except (ValueError, RecursionError):
        return None, False


def parse_json(text: str) -> Json:
    """The value of a JSON text in the strict sense: NaN and infinity are none. Raises ValueError or RecursionError."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
