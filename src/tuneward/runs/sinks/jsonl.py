"""`metrics.jsonl`: every record of a run, one line each, and the only file the others are made from."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import BinaryIO

from tuneward.errors import RunError
from tuneward.records import Record


class JsonlSink:
    """Appends records; opened at the first write, so that a sink made only to truncate leaves nothing open.

    Keys are sorted, so equal records are equal lines. Numbers that are not finite are left out, as a number that
    was not measured is.
    """

    def __init__(self, path: Path, *, sync: bool = True) -> None:
        """
        Args:
            path: the file; made when missing, together with its folder.
            sync: force each line to the disk. A checkpoint is forced there too, and must not outlive the records
                of the steps before it.
        """
        self._path = path
        self._sync = sync
        self._file: BinaryIO | None = None

    def write(self, record: Record) -> None:
        """Append a record. Raises RunError when the disk is full or not writable."""
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab")
            self._file.write(encode(record))
            self._file.flush()
            if self._sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise RunError(f"{self._path}: metrics cannot be written ({error.strerror}); free some space.") from None

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def truncate_after(self, step: int) -> None:
        """Remove every record of a later step and a torn last line; all other lines stay byte for byte.

        Raises:
            RunError: a line other than the last is damaged, or the disk is full.
        """
        self.close()
        if not self._path.exists():
            return
        whole = self._path.read_bytes()
        kept = b"".join(line for line, record in parse_lines(whole, self._path) if record.get("step", 0) <= step)
        if kept != whole:
            replace_file(self._path, kept)


def encode(record: Record) -> bytes:
    """A record as its line, line end included."""
    return (json.dumps(_finite(record), sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode(
        "utf-8", "backslashreplace"
    )


def read_records(path: Path) -> list[Record]:
    """Records of a `metrics.jsonl`; a torn last line, as a killed process leaves it, is passed over.

    Raises:
        RunError: the file is missing, or a line other than the last is damaged.
    """
    try:
        return [record for _, record in parse_lines(path.read_bytes(), path)]
    except OSError as error:
        raise RunError(f"{path}: metrics cannot be read ({error.strerror}).") from None


def parse_lines(whole: bytes, path: Path) -> list[tuple[bytes, Record]]:
    """Each line, as its bytes and as a record. Raises RunError for damage anywhere but at the end."""
    # Only \n ends a line: other separators may stand inside a message.
    *lines, rest = whole.split(b"\n")
    found = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict):
            found.append((line + b"\n", record))
        elif number < len(lines) or rest:
            raise RunError(f"{path}, line {number}: damaged (not a JSON object); remove the line and try again.")
    return found


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file as a whole. Raises RunError."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot be written ({error.strerror}).") from None


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items() if not _is_not_finite(item)}
    return value


def _is_not_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
