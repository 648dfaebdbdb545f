"""Bytes handed to a child as descriptors, without files on disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def descriptors_of(*contents: bytes) -> Iterator[list[int]]:
    """One readable descriptor for each content, for `pass_fds`; they are closed at the end of the block."""
    fds: list[int] = []
    try:
        for content in contents:
            fds.append(os.memfd_create("content"))
            with open(fds[-1], "wb", closefd=False) as file:
                file.write(content)
            os.lseek(fds[-1], 0, os.SEEK_SET)
        yield fds
    finally:
        for fd in fds:
            os.close(fd)
