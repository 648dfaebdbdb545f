"""Frames on a pipe: a 4-byte big-endian length and that many bytes."""

from __future__ import annotations

import os
import struct

LENGTH = struct.Struct(">I")

FRAME_LIMIT_BYTES = 32 << 20
"""Largest answer taken back; AWS Lambda's own limit is 6 MB (contract 4.3)."""


def write_frame(fd: int, *parts: bytes) -> None:
    """Write one frame made of `parts`, waiting as long as it takes. Raises OSError when the pipe is gone."""
    view = memoryview(LENGTH.pack(sum(map(len, parts))) + b"".join(parts))
    while view:
        view = view[os.write(fd, view) :]


def read_frame(fd: int) -> bytes:
    """Read one frame. Raises EOFError when the pipe ends first."""
    return _read_exactly(fd, LENGTH.unpack(_read_exactly(fd, LENGTH.size))[0])


def _read_exactly(fd: int, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = os.read(fd, min(size - len(data), 1 << 20))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)
