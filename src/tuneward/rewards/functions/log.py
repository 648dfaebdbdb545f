"""The log of a function's local calls, in the form AWS Lambda writes to CloudWatch."""

from __future__ import annotations

import fcntl
import math
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from tuneward.rewards.process import Call

LOG_LIMIT_BYTES = 1 << 20
"""Size at which the log is set aside; one older log is kept."""

TAIL_BYTES = 4096
"""Bytes of a call's log that are answered with it."""

POLL_S = 0.2

TASK_ROOT = "/var/task"
"""Where the code lies on AWS Lambda; stands in stack traces for the folder here."""

_CODE_FOLDER = re.compile(r"(?:/[^\s\"'/]+)*/code/[0-9a-f]{64}")

ERROR_TYPES = {
    "timeout": "Sandbox.Timedout",
    "oom": "Runtime.OutOfMemory",
    "unserialisable": "Runtime.MarshalError",
    "too_large": "Function.ResponseSizeTooLarge",
}
"""`errorType` of calls that ended without the function's own exception; every other one is `Runtime.ExitError`."""


def _status(call: Call) -> str:
    """What a REPORT adds for a call that failed."""
    if call.kind == "answer":
        return ""
    if call.kind == "timeout":
        return "\tStatus: timeout"
    named = str(call.detail.get("type") or ERROR_TYPES.get(call.kind, "Runtime.ExitError"))
    return f"\tStatus: error\tError Type: {' '.join(named.split())[:100]}"


def without_folders(text: str) -> str:
    """A text with the folder that code lies in on this machine named as it is on AWS Lambda."""
    return _CODE_FOLDER.sub(TASK_ROOT, text)


def call_report(call: Call, request_id: str, version: str, memory_mb: int) -> str:
    """One call as log lines: START, the ends of both output streams (4 KB each), END, REPORT."""
    duration_ms = call.wall_s * 1000
    lines = [f"START RequestId: {request_id} Version: {version}"]
    lines += [without_folders(text.rstrip("\n")) for text in (call.stdout_tail, call.stderr_tail) if text]
    if call.kind == "timeout":
        lines.append(f"{request_id} Task timed out after {call.wall_s:.2f} seconds")
    lines += [
        f"END RequestId: {request_id}",
        f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\t"
        f"Billed Duration: {math.ceil(duration_ms)} ms\tMemory Size: {memory_mb} MB\t"
        f"Max Memory Used: {call.peak_memory_bytes >> 20} MB{_status(call)}",
    ]
    return "\n".join(lines) + "\n"


def tail(text: str) -> str:
    """The last TAIL_BYTES bytes."""
    return text.encode()[-TAIL_BYTES:].decode(errors="ignore")


class FunctionLog:
    """A file of bounded size with the newest calls last; processes may append at the same time."""

    def __init__(self, file: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
        self._file = file
        self._older = file.with_name(f"{file.name}.1")
        self._limit_bytes = limit_bytes

    def append(self, report: str) -> None:
        """Add a call, each line with the time; a function deleted meanwhile has no log to write to."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        text = "".join(f"{now}\t{line}\n" for line in report.splitlines())
        try:
            with self._file.with_name(".log-lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if self._file.exists() and self._file.stat().st_size + len(text) > self._limit_bytes:
                    self._file.replace(self._older)
                with self._file.open("a", encoding="utf-8", errors="replace") as file:
                    file.write(text)
        except FileNotFoundError:
            return

    def read(self) -> str:
        """Everything that is kept, oldest first."""
        return "".join(
            file.read_text(encoding="utf-8", errors="replace") for file in (self._older, self._file) if file.exists()
        )

    def follow(self, stop: Event | None = None) -> Iterator[str]:
        """What is kept, then what is added, until `stop` is set or the function is deleted."""
        stop = stop or Event()
        if self._older.exists():
            yield self._older.read_text(encoding="utf-8", errors="replace")
        while not self._file.exists():
            if stop.wait(POLL_S) or not self._file.parent.exists():
                return
        is_replaced = True
        while is_replaced:
            is_replaced = False
            with self._file.open(encoding="utf-8", errors="replace") as file:
                while True:
                    # Asked before reading: what an older log got before it was set aside must not be lost.
                    is_replaced = self._is_replaced(file.fileno())
                    if text := file.read():
                        yield text
                    if is_replaced:
                        break
                    if stop.wait(POLL_S) or not self._file.parent.exists():
                        return

    def _is_replaced(self, descriptor: int) -> bool:
        """Another log stands where the open one was."""
        try:
            return not os.path.samestat(os.fstat(descriptor), self._file.stat())
        except FileNotFoundError:
            return False
