"""Digests of rows: 16 bytes stand for a prompt or a reference answer, so comparing a million rows stays cheap."""

from __future__ import annotations

import hashlib
import json

from tuneward.types import Json, Row

DIGEST_BYTES = 16


def digest(value: Json) -> bytes:
    """BLAKE2b of a JSON value in canonical form (sorted keys, no spaces); 16 bytes."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def prompt_digest(row: Row) -> bytes:
    """Digest of what the model is asked: messages and tools."""
    return digest([[dict(message) for message in row.messages], [dict(tool) for tool in row.tools]])


def loose_prompt_digest(row: Row) -> bytes:
    """As `prompt_digest`, but letter case and the kind and amount of white space do not count."""
    messages = [
        {**message, "content": " ".join(str(message["content"]).casefold().split())} for message in row.messages
    ]
    return digest([messages, [dict(tool) for tool in row.tools]])
