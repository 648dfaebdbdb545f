"""Content on its way to the disk: counted, hashed, and either kept as a whole or gone."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from tuneward.errors import DiskError
from tuneward.jobs.problems import InvalidRequestError

PART = ".part"
"""Suffix of content that is not kept yet."""

ABANDONED_S = 6 * 3600
"""Nobody writes any more to half a file that nobody has written to for this long."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Incoming:
    """A file being received; a context manager that leaves nothing behind unless `keep` was called.

    Args:
        folder: where it will lie; made when missing.
        name: what it will be called there.
        largest_bytes: more is refused.

    Raises:
        DiskError: the disk is full or cannot be written.
    """

    def __init__(self, folder: Path, name: str, *, largest_bytes: int):
        self.bytes = 0
        self._target = folder / name
        self._part = folder / f"{name}{PART}"
        self._largest_bytes = largest_bytes
        self._sha256 = hashlib.sha256()
        with disk_errors():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = self._part.open("xb", buffering=0)

    @property
    def name(self) -> str:
        return self._target.name

    @property
    def part(self) -> Path:
        """Where the content lies until it is kept."""
        return self._part

    @property
    def sha256(self) -> str:
        """Of what was written so far, hexadecimal."""
        return self._sha256.hexdigest()

    def write(self, piece: bytes) -> None:
        """Add to the content. Raises InvalidRequestError when it grows too large, StoreError."""
        self.bytes += len(piece)
        if self.bytes > self._largest_bytes:
            raise InvalidRequestError(
                f"The content is larger than the {self._largest_bytes:,} bytes that are allowed.",
                param="file",
                code="file_too_large",
            )
        self._sha256.update(piece)
        with disk_errors():
            left = memoryview(piece)
            while left:
                left = left[self._file.write(left) :]

    def keep(self) -> Path:
        """Put the content in its place for good; returns where. Raises StoreError."""
        with disk_errors():
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.rename(self._target)
            sync_folder(self._target.parent)
        return self._target

    def __enter__(self) -> Incoming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)


def sweep_parts(folder: Path) -> int:
    """Remove what a process that died had half received; returns how many files. Raises OSError."""
    abandoned = [path for path in folder.glob(f"*{PART}") if is_abandoned(path)]
    for part in abandoned:
        part.unlink(missing_ok=True)
    return len(abandoned)


def is_abandoned(path: Path) -> bool:
    """Nobody has written to it for so long that nobody will. Raises OSError."""
    return time.time() - path.stat().st_mtime > ABANDONED_S


def sync_folder(folder: Path) -> None:
    """Make what was renamed in a folder outlive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turns what the disk refuses into DiskError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskError(
                "The server's disk is full, so nothing was stored; free space on it and try again."
            ) from error
        reason = error.strerror or type(error).__name__
        raise DiskError(f"The server could not write to its disk ({reason}), so nothing was stored.") from error
