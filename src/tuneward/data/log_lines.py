"""Lines of logged model calls under a prefix, one record each, and a count of what became of them."""

from __future__ import annotations

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tuneward.data.lines import MAX_LINE_BYTES
from tuneward.data.objects import PROBE, ObjectStore


@dataclass(slots=True)
class LogReport:
    """What became of the records."""

    objects: int = 0
    records: int = 0
    kept: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """Reason → records."""
    is_whole: bool = True
    """Everything under the prefix was read."""

    def __str__(self) -> str:
        reasons = "".join(f"; {count:,} skipped: {reason}" for reason, count in self.skipped.most_common())
        return f"{self.records:,} records in {self.objects:,} objects, {self.kept:,} rows{reasons}"


def log_lines(
    objects: ObjectStore, uri: str, report: LogReport, stop: Callable[[LogReport], bool] = lambda _: False
) -> Iterator[bytes]:
    """Lines of the records under a prefix; counts objects, records, and what cannot be read.

    Args:
        objects: where the logs are.
        uri: prefix that the logs are under.
        report: is kept up to date.
        stop: is asked before each record whether to leave the rest unread.

    Raises:
        DataError: the storage refuses.
    """
    for found in objects.list(uri):
        inside = f"/{found.uri.removeprefix(uri)}"
        # Bodies are in `data/` beside the logs that speak of them.
        if "/data/" in inside or inside.endswith((PROBE, "amazon-bedrock-logs-permission-check")):
            continue
        report.objects += 1
        for line in _lines_of(objects, found.uri, report):
            if stop(report):
                report.is_whole = False
                return
            report.records += 1
            if line is None:
                report.skipped[f"longer than {MAX_LINE_BYTES:,} bytes"] += 1
            else:
                yield line


def _lines_of(objects: ObjectStore, uri: str, report: LogReport) -> Iterator[bytes | None]:
    with unpacked(objects.read(uri)) as file:
        try:
            while line := file.readline(MAX_LINE_BYTES + 1):
                is_whole = len(line) <= MAX_LINE_BYTES
                while not line.endswith(b"\n") and len(line) > MAX_LINE_BYTES:
                    line = file.readline(MAX_LINE_BYTES + 1) or b"\n"
                if not is_whole or line.strip():
                    yield line if is_whole else None
        except (EOFError, zlib.error, gzip.BadGzipFile):
            report.skipped["the rest of an object that is no whole gzip file"] += 1


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file to read from."""

    def __init__(self, pieces: Iterator[bytes]):
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def unpacked(pieces: Iterator[bytes]) -> io.BufferedIOBase:
    """A file of the content, which may be gzipped, whatever its name."""
    packed = io.BufferedReader(_Pieces(pieces), 1 << 16)
    return gzip.GzipFile(fileobj=packed) if packed.peek(2)[:2] == b"\x1f\x8b" else packed
