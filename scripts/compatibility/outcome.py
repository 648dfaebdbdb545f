"""What became of calling one method."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from scripts.compatibility.world import World

_REFUSAL = re.compile(r"not (supported|offered)|cannot be (brought|copied)")
_ABSENT = "Nothing here answers "


@dataclass(frozen=True)
class Outcome:
    """Of one method of a client."""

    method: str
    kind: Literal["works", "refused", "absent", "broken"]
    said: str = ""
    """What works differently, the server's own words of a refusal, or what went wrong."""


@dataclass(frozen=True)
class Recipe:
    """How to call a method so that it has something to do."""

    arguments: Callable[[World], dict[str, Any]]
    note: str = ""
    """Where the method differs; Markdown."""


def refusal(method: str, status: int, message: str, *, is_supported: bool) -> Outcome:
    """The outcome of an answer that is an error.

    Args:
        method: that was called.
        status: of the answer.
        message: in the body, where the client looks for it.
        is_supported: there is a recipe, so the method has to work.
    """
    if not is_supported and 400 <= status < 500:
        if message.startswith(_ABSENT):
            return Outcome(method, "absent")
        if _REFUSAL.search(message):
            return Outcome(method, "refused", message)
    return Outcome(method, "broken", f"{status}: {message}")
