"""A sandbox seen from outside: which processes are in it and what memory they use, from /proc of the host.

Everything in it descends from bubblewrap's own first process, which nothing inside can stop or leave behind.
"""

from __future__ import annotations

import os
import re
import resource
import signal
from pathlib import Path

MAX_LEFT_THREADS = 16
"""A process that keeps more threads than this after a call will soon be unable to start another: each counts as a
process, and its stack of 8 MiB as memory."""

_PROPORTIONAL = re.compile(r"^Pss_Anon:\s+(\d+) kB", re.MULTILINE)


class Cell:
    """The processes of one sandbox.

    Args:
        monitor: process id of the bubblewrap that was started.
    """

    def __init__(self, monitor: int) -> None:
        self._monitor = monitor
        self._worker: int | None = None

    def processes(self) -> list[int]:
        """All processes of the code inside; empty while bubblewrap itself still prepares."""
        first = _children(self._monitor)
        found: list[int] = []
        level = [child for process in first for child in _children(process)]
        while level:
            found += level
            level = [child for process in level for child in _children(process)]
        return found

    def memory_bytes(self, limit_bytes: int) -> int:
        """Memory of all processes together. Only above the limit does memory shared after a fork count once."""
        processes = self.processes()
        quick = sum(map(_private_bytes, processes))
        return quick if quick <= limit_bytes else sum(map(_proportional_bytes, processes))

    def is_clean(self) -> bool:
        """Nothing but the worker itself is there, and it has few threads."""
        processes = self.processes()
        return len(processes) == 1 and _thread_count(processes[0]) <= MAX_LEFT_THREADS

    def freeze(self) -> None:
        """Let the worker stand still until `thaw`, as AWS Lambda does between calls."""
        processes = self.processes()
        self._worker = processes[0] if processes else None
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        if self._worker is not None:
            try:
                os.kill(self._worker, number)
            except ProcessLookupError:
                self._worker = None  # The signal that says so is on its way.


def _children(process: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{process}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _private_bytes(process: int) -> int:
    """Resident memory that no file backs; memory shared after a fork counts in every process."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{process}/statm").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (int(resident) - int(shared)) * resource.getpagesize()


def _proportional_bytes(process: int) -> int:
    try:
        found = _PROPORTIONAL.search(Path(f"/proc/{process}/smaps_rollup").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except PermissionError:
        return _private_bytes(process)
    return int(found[1]) << 10 if found else _private_bytes(process)


def _thread_count(process: int) -> int:
    try:
        return len(list(Path(f"/proc/{process}/task").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return 0
