"""Quoting texts in a judge's prompt so that nothing inside them can end the quote or speak for the prompt.

A quote stands between markers with a code that its text cannot contain, because the code is a hash over that text.
The same text under the same rubric has the same code, so prompts repeat exactly and both our cache and the server's
prefix cache keep working.
"""

from __future__ import annotations

import hashlib
import re

CODE_LENGTH = 16
OPENING, CLOSING = "<<<QUOTE", "<<<UNQUOTE"

_FAKE_MARKER = re.compile(r"[<＜‹«]{2,9}(?=\s{0,9}(?:UN)?QUOTE)", re.IGNORECASE)
_CONTROL_TOKEN = re.compile(
    r"<(?=[|｜])|<(?=/?s>)|<(?=/?(?:start|end)_of_turn>)|<(?=/?(?:bos|eos|unk|pad)>)|<(?=<?/?SYS>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS)\])",
    re.IGNORECASE,
)
_INVISIBLE = re.compile("[\U000e0000-\U000e007f\u202a-\u202e\u2066-\u2069]")


def quote(name: str, text: str, salt: str) -> str:
    """The text between two lines that mark it.

    Args:
        name: of the variable, shown in the markers.
        text: anything; see `harmless` for what is changed in it.
        salt: enters the code, so that knowing the text alone is not enough to know the code.
    """
    text = harmless(text)
    code = hashlib.sha256("\0".join((salt, name, text)).encode()).hexdigest()[:CODE_LENGTH]
    return f"{OPENING} {name} {code}>>>\n{text}\n{CLOSING} {name} {code}>>>"


def harmless(text: str) -> str:
    """The text with what could act outside its quote broken by a space, still readable.

    Broken are look-alikes of the markers, and control tokens of chat templates, which a server may read as the end of
    the message. Invisible characters that can carry hidden words or reverse the reading order are taken out, and half
    surrogates, which no request can hold, are replaced.
    """
    text = _INVISIBLE.sub("", text.encode(errors="replace").decode())
    text = _FAKE_MARKER.sub(lambda found: " ".join(found[0]) + " ", text)
    return _CONTROL_TOKEN.sub(lambda found: f"{found[0]} ", text)
