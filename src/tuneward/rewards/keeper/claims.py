"""What a reward process says about itself, checked: its frames are as trustworthy as the code that runs in it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

TEXT_LIMIT = 400
"""Characters kept of an exception's text."""
NAMES_LIMIT = 50
FRAMES_LIMIT = 20
"""Innermost frames of a traceback that are kept."""


def load_report(frame: bytes) -> dict[str, Any]:
    """The report on loading the file. Raises ValueError when it cannot be one."""
    return _checked(frame, _report)


def call_outcome(frame: bytes) -> dict[str, Any]:
    """The outcome of a call, without its answer. Raises ValueError when it cannot be one."""
    return _checked(frame, _outcome)


def seconds(frame: bytes) -> float:
    """A number of seconds. Raises ValueError when it cannot be one."""
    return _checked(frame, _amount)


def _checked(frame: bytes, read: Callable[[Any], T]) -> T:
    try:
        return read(json.loads(frame))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise ValueError("not what a reward process says") from None


def _report(said: dict[str, Any]) -> dict[str, Any]:
    match said["kind"]:
        case "ok":
            return {"kind": "ok"}
        case "raised":
            return {"kind": "raised", **_error(said)}
        case "missing":
            return {"kind": "missing", "functions": [_text(name) for name in said["functions"][:NAMES_LIMIT]]}
        case "unfit":
            return {"kind": "unfit", "reason": _text(said["reason"])}
    raise ValueError


def _outcome(said: dict[str, Any]) -> dict[str, Any]:
    usage = {
        "request_id": _text(said["request_id"]),
        "wall_s": _amount(said["wall_s"]),
        "cpu_s": _amount(said["cpu_s"]),
        "peak_memory_bytes": int(_amount(said["peak_memory_bytes"])),
    }
    match said["kind"]:
        case "answer" | "oom":
            return {"kind": said["kind"], **usage}
        case "raised" | "unserialisable":
            return {"kind": said["kind"], **_error(said), **usage}
        case "too_large":
            return {"kind": "too_large", "bytes": int(_amount(said["bytes"])), **usage}
    raise ValueError


def _error(said: dict[str, Any]) -> dict[str, Any]:
    line = said["line"]
    return {
        "type": _text(said["type"]),
        "text": _text(said["text"]),
        "line": line if isinstance(line, int) and 0 < line < 1 << 31 else None,
        "frames": [str.rstrip(frame)[:TEXT_LIMIT] for frame in said["frames"][-FRAMES_LIMIT:]],
    }


def _text(value: str) -> str:
    return " ".join(str.split(value))[:TEXT_LIMIT]


def _amount(value: Any) -> float:
    if not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
        raise ValueError
    return float(value)
