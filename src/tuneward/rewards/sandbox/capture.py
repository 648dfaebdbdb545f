"""Feed a process its input and keep a bounded part of what it writes, without being held up by it."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import time
from types import TracebackType
from typing import Self

PIPE_BYTES = 1 << 16


class Capture:
    """The pipes of a process that was started with all three; they are closed at the end of the block.

    Args:
        stdin: what it is fed.
        limit_bytes: kept of each stream: the first bytes of standard output, the last of standard error.
    """

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes, limit_bytes: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._input, self._out, self._err = process.stdin, process.stdout, process.stderr
        self._limit_bytes = limit_bytes
        self._left = memoryview(stdin)
        self._head = b""
        self._tail = b""
        self._end = os.pidfd_open(process.pid)
        self._selector = selectors.DefaultSelector()
        for pipe in (self._input, self._out, self._err):
            os.set_blocking(pipe.fileno(), False)
        for readable in (self._out.fileno(), self._err.fileno(), self._end):
            self._selector.register(readable, selectors.EVENT_READ)
        if stdin:
            self._selector.register(self._input, selectors.EVENT_WRITE)
        else:
            self._input.close()

    def wait(self, limit_s: float) -> bool:
        """Attend to the pipes for so long; True as soon as the process has ended."""
        until = time.monotonic() + limit_s
        while True:
            for key, _ in self._selector.select(max(0.0, until - time.monotonic())):
                if key.fd == self._end:
                    return True
                if key.fileobj is self._input:
                    self._feed()
                elif not self._take(key.fd):
                    self._selector.unregister(key.fd)
            if time.monotonic() >= until:
                return False

    def rest(self) -> tuple[str, str]:
        """Standard output and error, once the process has ended."""
        for fd in (self._out.fileno(), self._err.fileno()):
            taken = 0
            # What one pipe holds: a process that was left behind might write for ever.
            while taken < PIPE_BYTES and (count := self._take(fd)):
                taken += count
        return self._head.decode(errors="replace"), self._tail.decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()
        os.close(self._end)
        for pipe in (self._input, self._out, self._err):
            pipe.close()

    def _feed(self) -> None:
        try:
            self._left = self._left[os.write(self._input.fileno(), self._left[:PIPE_BYTES]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._left = memoryview(b"")
        if not self._left:
            self._selector.unregister(self._input)
            self._input.close()

    def _take(self, fd: int) -> int:
        """Bytes read now; 0 when there are none and, for a caller who was told that there are, none will come."""
        chunk = b""
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(fd, PIPE_BYTES)
        if fd == self._out.fileno():
            self._head += chunk[: self._limit_bytes - len(self._head)]
        else:
            self._tail = (self._tail + chunk)[-self._limit_bytes :]
        return len(chunk)
