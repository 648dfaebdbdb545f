"""One line of bytes → one JSON object, in the strict sense, or one finding that says why not."""

from __future__ import annotations

import codecs
import json
import math
from typing import Any, NoReturn

from tuneward.data.problems import Code, Findings, shown
from tuneward.types import Json

MAX_DEPTH = 100
"""Deepest nesting of arrays and objects; anything deeper overflows the stack of some JSON library down the line."""


class _NumberError(ValueError):
    """A number JSON does not know, or that does not fit."""


def decode_object(raw: bytes, findings: Findings) -> dict[str, Json] | None:
    """Parse one line.

    Returns:
        The object; None after an error was added to `findings`.
    """
    text = _decode_text(raw, findings)
    if text is None:
        return None
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite_float, parse_int=_bounded_int)
    except json.JSONDecodeError as error:
        _not_json(findings, f"the line is not valid JSON at column {error.colno}: {error.msg}.")
        return None
    except _NumberError as error:
        findings.error(Code.JSON, "", f"{error}.", "Write a finite number, a string or null instead.")
        return None
    except RecursionError:
        _too_deep(findings)
        return None
    if not isinstance(value, dict):
        _not_json(findings, f"the line is {_kind(value)}; expected an object with messages.")
        return None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and deeper_than(value, MAX_DEPTH):
        _too_deep(findings)
        return None
    if b"\\ud" in raw.lower() and _has_lone_surrogate(value):
        findings.error(
            Code.ENCODING,
            "",
            "the line holds half of a surrogate pair (\\ud800 … \\udfff), which is no character.",
            "Write the whole pair, or the character itself in UTF-8.",
        )
        return None
    return value


def _decode_text(raw: bytes, findings: Findings) -> str | None:
    if findings.line == 1 and raw.startswith(codecs.BOM_UTF8):
        findings.inform(
            Code.ENCODING,
            "",
            "the file begins with a byte order mark, which is passed over.",
            "Save it as UTF-8 without BOM; other tools refuse it.",
        )
        raw = raw[len(codecs.BOM_UTF8) :]
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        utf16 = findings.line == 1 and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        findings.error(
            Code.ENCODING,
            "",
            "the file looks like UTF-16; expected UTF-8."
            if utf16
            else f"byte {error.start + 1} of the line (0x{raw[error.start]:02x}) is not valid UTF-8.",
            "Save the file as UTF-8.",
        )
        return None


def _not_json(findings: Findings, message: str) -> None:
    findings.error(Code.JSON, "", message, "Put one complete JSON object on each line.")


def _too_deep(findings: Findings) -> None:
    findings.error(Code.JSON, "", f"the line nests arrays and objects more than {MAX_DEPTH} deep.", "Flatten the data.")


def _refuse_constant(text: str) -> NoReturn:
    raise _NumberError(f"the line holds {text}, which is not JSON")


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NumberError(f"the line holds the number {text[:20]}, which is too large")
    return number


def _bounded_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _NumberError(f"the line holds an integer of {len(text)} digits, which is too large") from None


def _kind(value: Json) -> str:
    return shown(value) if isinstance(value, list) or value is None else f"a {type(value).__name__}"


def deeper_than(value: Json, limit: int) -> bool:
    """Whether arrays and objects are nested more than `limit` deep; walks level by level, so it cannot overflow."""
    level: list[Any] = [value]
    for _ in range(limit):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _has_lone_surrogate(value: Json) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
