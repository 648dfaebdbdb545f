"""What a database can hold: the few values that PostgreSQL or SQLite refuse are replaced on their way in.

They come from callers (a zero byte in a name), from reward functions (in an error's text) and from metrics (NaN), and
none of them is a reason to fail. Looking for such a value replaces it, too, so that what was stored is found.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
LARGEST = 2**63 - 1

_ESCAPE = re.compile(r"\\(u0000|.)", re.DOTALL)


def storable(value: Any) -> Any:
    """A parameter of a statement without zero bytes and halves of surrogate pairs, numbers within 64 bits.

    Parameters may be a sequence or a mapping of such, as drivers take them.
    """
    if isinstance(value, str):
        return _storable_text(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return max(-LARGEST, min(LARGEST, value))
    if isinstance(value, Mapping):
        return {key: storable(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(storable(entry) for entry in value)
    return value


def to_json(value: Any) -> str:
    """JSON that PostgreSQL can search: without zero characters, and null for numbers that JSON does not know."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False)
    if "\\u0000" in text:
        text = _ESCAPE.sub(lambda found: REPLACEMENT if found[1] == "u0000" else found[0], text)
    return _storable_text(text)


def _storable_text(text: str) -> str:
    if text.isascii():
        return text.replace("\0", REPLACEMENT) if "\0" in text else text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", REPLACEMENT)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
