"""Calls of tools in what a model writes, found while it writes. Source: OpenAI RFT contract, 7.2.

Models write calls in few forms: `<tool_call>{…}</tool_call>` (Hermes, Qwen), `[TOOL_CALLS] [{…}]` (Mistral),
`<|python_tag|>{…}` (Llama 3), or the bare object, where the mark is a special token that no text shows. An object
counts as a call only when it has the name of a tool that the request gave and an object of arguments, and no more;
whatever is not a call stays the text that it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tuneward.store.ids import new_id
from tuneward.types import Json

OPEN, CLOSE = "<tool_call>", "</tool_call>"
MARKS = ("[TOOL_CALLS]", "<|python_tag|>")
"""What may stand before calls that are the whole answer."""
SEPARATORS = " \t\r\n;,"
"""What may stand between them."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model wants to be called."""

    name: str
    arguments: str
    """An object, as JSON."""
    id: str = field(default_factory=lambda: new_id("call_", length=24), compare=False)


def parse_tool_calls(text: str, tools: Sequence[Mapping[str, Json]]) -> tuple[str, tuple[ToolCall, ...]]:
    """A whole answer's text without its calls, and the calls.

    Args:
        text: as the model wrote it.
        tools: that the request gave, in the form of chat completions.
    """
    finder = CallFinder(names_of(tools))
    parts = [*finder.push(text), *finder.finish()]
    rest = "".join(part for part in parts if isinstance(part, str))
    return rest, tuple(part for part in parts if isinstance(part, ToolCall))


def names_of(tools: Sequence[Mapping[str, Json]]) -> frozenset[str]:
    """The names of tools in the form of chat completions."""
    return frozenset(str(tool["function"]["name"]) for tool in tools)


class CallFinder:
    """Splits an answer into text and calls as it grows; what may become part of a call is held back.

    White space between a text and a call is left out. However an answer is cut into pieces, the same text
    and the same calls come out.

    Args:
        names: of the tools; with none, all is text.
    """

    def __init__(self, names: frozenset[str]):
        self._names = names
        self._held = ""
        self._may_be_whole = bool(names)
        """All that has come is held, because it may yet be nothing but calls."""
        self._has_text = False
        self._is_after_call = False

    def push(self, text: str) -> list[str | ToolCall]:
        """Take in more; returns what is certain now."""
        self._held += text
        return self._split(is_last=False)

    def finish(self) -> list[str | ToolCall]:
        """The rest, when nothing follows."""
        return self._split(is_last=True)

    def _split(self, *, is_last: bool) -> list[str | ToolCall]:
        if self._may_be_whole:
            self._may_be_whole = _begins_calls(self._held, self._names)
            if self._may_be_whole and not is_last:
                return []
            if self._may_be_whole and (calls := _only_calls(self._held, self._names)):
                self._held = ""
                return list(calls)
        found: list[str | ToolCall] = []
        while self._names and (start := self._held.find(OPEN)) >= 0:
            end = self._held.find(CLOSE, start)
            if end < 0 and not is_last:
                break
            body = self._held[start + len(OPEN) : None if end < 0 else end]
            after = len(self._held) if end < 0 else end + len(CLOSE)
            if calls := _only_calls(body, self._names):
                self._give(found, self._held[:start].rstrip())
                found += calls
                self._is_after_call = True
            else:
                inner = self._held.find(OPEN, start + len(OPEN), after)  # this one may yet begin a call
                after = len(self._held[: after if inner < 0 else inner].rstrip())
                self._give(found, self._held[:after])
            self._held = self._held[after:]
        certain = len(self._held) if is_last or not self._names else _certain(self._held)
        self._give(found, self._held[:certain])
        self._held = self._held[certain:]
        return found

    def _give(self, found: list[str | ToolCall], text: str) -> None:
        if self._is_after_call and not (self._has_text and text.strip()):
            text = text.lstrip()
        if text:
            found.append(text)
            self._has_text, self._is_after_call = True, False


def _certain(text: str) -> int:
    """Characters that are text whatever follows: up to a mark, or what may become one, and the space before it."""
    start = text.find(OPEN)
    if start < 0:
        start = next((len(text) - n for n in range(len(OPEN) - 1, 0, -1) if text.endswith(OPEN[:n])), len(text))
    return len(text[:start].rstrip())


def _begins_calls(text: str, names: frozenset[str]) -> bool:
    """Whether an answer that begins so may be nothing but calls."""
    compact = "".join(text.split())
    heads = ('{"name":"', '[{"name":"', '{"type":"function","name":"', '[{"type":"function","name":"')
    starts = [*MARKS, *(f'{head}{name}"' for head in heads for name in names)]
    return any(start.startswith(compact) or compact.startswith(start) for start in starts)


def _only_calls(text: str, names: frozenset[str]) -> tuple[ToolCall, ...]:
    """The calls that a text consists of; none when there is anything else."""
    text = text.strip()
    for mark in MARKS:
        text = text.removeprefix(mark)
    decoder = json.JSONDecoder(parse_constant=_refuse)
    calls: list[ToolCall] = []
    text = text.strip(SEPARATORS)
    while text:
        try:
            value, end = decoder.raw_decode(text)
        except (ValueError, RecursionError):
            return ()
        for entry in value if isinstance(value, list) else [value]:
            call = _call(entry, names)
            if call is None:
                return ()
            calls.append(call)
        text = text[end:].strip(SEPARATORS)
    return tuple(calls)


def _call(value: Any, names: frozenset[str]) -> ToolCall | None:
    if not isinstance(value, dict) or value.get("type", "function") != "function":
        return None
    if not isinstance(value.get("name"), str) or value["name"] not in names:
        return None
    others = value.keys() - {"name", "type", "id"}
    if not others <= {"arguments"} and not others <= {"parameters"}:
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return None
    if not isinstance(arguments, dict):
        return None
    text = json.dumps(arguments, ensure_ascii=False)
    # Half of a surrogate pair can be escaped in JSON and cannot be sent in UTF-8.
    is_whole = not any("\ud800" <= character <= "\udfff" for character in text)
    return ToolCall(value["name"], text if is_whole else json.dumps(arguments))


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
