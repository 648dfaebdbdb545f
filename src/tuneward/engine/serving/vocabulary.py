"""The bytes that each token stands for, which a text alone does not tell when a character takes several tokens."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from tuneward.models.chat import ChatTokenizer

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Vocabulary:
    """Tokens as bytes."""

    def __init__(self, tokenizer: ChatTokenizer):
        self._tokenizer: Any = tokenizer.tokenizer
        self._added = {number: str(token) for number, token in self._tokenizer.added_tokens_decoder.items()}
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        decoder = json.loads(backend.to_str()).get("decoder") if backend is not None else None
        self._byte_of = _bytes_of_characters() if "ByteLevel" in json.dumps(decoder) else None

    def data(self, token: int) -> bytes:
        """The bytes of a token."""
        if token in self._added:
            return self._added[token].encode()
        piece = self._tokenizer.convert_ids_to_tokens(token) or ""
        if self._byte_of is not None:
            return b"".join(self._byte_of.get(character, character.encode()) for character in piece)
        byte = _BYTE.fullmatch(piece)
        return bytes([int(byte[1], 16)]) if byte else piece.replace("▁", " ").encode()


@lru_cache
def _bytes_of_characters() -> dict[str, bytes]:
    """Byte-level vocabularies write each byte as one printable character: itself, or one from U+0100 on.

    Source: byte-level BPE, Radford et al. 2019, section 2.2, as its published encoder has it.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): bytes([byte]) for byte in printable} | {
        chr(0x100 + number): bytes([byte]) for number, byte in enumerate(others)
    }
