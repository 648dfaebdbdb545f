"""Lines of a file of any size, held in memory one at a time and never beyond a limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAX_LINE_BYTES = 16 << 20
"""Longest accepted line, its line end included: 16 MiB."""

SKIP_CHUNK_BYTES = 64 << 10
"""How much of a refused line is read at a time."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file."""

    number: int
    """1-based."""
    raw: bytes | None
    """The bytes without the line end; None when the line is longer than the limit."""
    size_bytes: int
    """Length with the line end, also when `raw` is None."""


def iter_lines(path: Path, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """Read a file line by line; lines end in LF or CRLF.

    At most `max_line_bytes` of a line are held; the rest of a longer line is passed over in small chunks.

    Raises:
        OSError: the file cannot be opened or read.
    """
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(max_line_bytes + 1):
            number += 1
            if len(raw) > max_line_bytes:
                size = len(raw)
                ended = raw.endswith(b"\n")
                del raw
                yield Line(number, None, size if ended else size + _skip_line(file))
            else:
                yield Line(number, raw.removesuffix(b"\n").removesuffix(b"\r"), len(raw))


def _skip_line(file: BinaryIO) -> int:
    """Pass over the rest of a line; returns its size in bytes, the line end included."""
    skipped = 0
    while chunk := file.readline(SKIP_CHUNK_BYTES):
        skipped += len(chunk)
        if chunk.endswith(b"\n"):
            break
    return skipped
