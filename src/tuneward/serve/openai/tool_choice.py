"""Tools that a request gives, and which of them must be called. Source: OpenAI RFT contract, 7.2."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tuneward.types import Json

NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


def checked_tools(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Raises ValueError for what is no function tool."""
    for number, tool in enumerate(tools):
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, dict):
            raise ValueError(f"tool {number} is not of type function; other tools cannot be called here")
        if not isinstance(function.get("name"), str) or not NAME.fullmatch(function["name"]):
            raise ValueError(f"the name of tool {number} must be 1 to 64 letters, digits, dots, underscores or hyphens")
        if not isinstance(function.get("parameters") or {}, dict):
            raise ValueError(f"the parameters of tool {number} are not a JSON schema")
    return tools


def checked_choice(choice: Json, tools: Sequence[dict[str, Json]]) -> Json:
    """Raises ValueError for a choice that is not known or names no tool."""
    if choice in (None, "none", "auto"):
        return choice
    if not tools:
        raise ValueError("there are no tools to call")
    if choice != "required" and not forced_tools(choice, tools):
        raise ValueError('expected "none", "auto", "required" or a function of tools by name')
    return choice


def forced_tools(choice: Json, tools: Sequence[dict[str, Json]]) -> list[dict[str, Json]]:
    """The tools one of which must be called; none when the model may choose."""
    if choice == "required":
        return list(tools)
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    return [tool for tool in tools if name is not None and tool["function"]["name"] == name]
