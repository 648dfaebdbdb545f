"""One reward process seen from its keeper: how it is forked, the pipes to it, and how it is ended. Linux only."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from .frames import FRAME_LIMIT_BYTES, LENGTH
from .worker import Setup, serve

TAIL_BYTES = 4096
PIPE_BYTES = 1 << 16
OPEN_FILES = 512

KEEPER_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1)
"""Handled in the keeper, hence reset to the default in the reward process."""

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


class Inbox:
    """A pipe read without waiting and cut into frames."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.is_open = True
        self._buffer = bytearray()

    def fill(self) -> None:
        """Take what is there now."""
        try:
            while chunk := os.read(self.fd, PIPE_BYTES):
                self._buffer += chunk
        except BlockingIOError:
            return
        self.is_open = False

    def frame(self) -> bytes | None:
        """The next whole frame. Raises ValueError when its length cannot be right."""
        head = LENGTH.size
        if len(self._buffer) < head:
            return None
        size = LENGTH.unpack_from(self._buffer)[0]
        if size > FRAME_LIMIT_BYTES:
            raise ValueError(size)
        if len(self._buffer) < head + size:
            return None
        frame = bytes(self._buffer[head : head + size])
        del self._buffer[: head + size]
        return frame


class Tail:
    """The last bytes of a pipe."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.is_open = True
        self.kept = b""

    def fill(self) -> None:
        """Take what one pipe can hold; an endless writer must not keep us here."""
        taken = 0
        try:
            while taken < PIPE_BYTES:
                chunk = os.read(self.fd, PIPE_BYTES)
                if not chunk:
                    self.is_open = False
                    return
                taken += len(chunk)
                self.kept = (self.kept + chunk)[-TAIL_BYTES:]
        except BlockingIOError:
            return

    def text(self) -> str:
        """At most TAIL_BYTES bytes of UTF-8, whatever was written."""
        return self.kept.decode(errors="replace").encode()[-TAIL_BYTES:].decode(errors="ignore")


class RewardProcess:
    """One living process with our ends of its pipes."""

    def __init__(self, setup: Setup) -> None:
        requests, self.requests = os.pipe()
        answers, outgoing = os.pipe()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        keeper = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _become_worker(setup, keeper, requests, outgoing, out_end, err_end)
        for fd in (requests, outgoing, out_end, err_end):
            os.close(fd)
        for fd in (self.requests, answers, out, err):
            os.set_blocking(fd, False)
        self.answers, self.out, self.err = Inbox(answers), Tail(out), Tail(err)

    def end(self) -> tuple[int, resource.struct_rusage]:
        """Kill the process with its group, then all they left behind; wait status and resource usage."""
        for kill in (os.kill, os.killpg):  # The group exists only once the child has made its session.
            try:
                kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        _, status, usage = os.wait4(self.pid, 0)
        for tail in (self.out, self.err):
            tail.fill()
        for fd in (self.requests, self.answers.fd, self.out.fd, self.err.fd):
            os.close(fd)
        end_orphans()
        return status, usage


def _become_worker(setup: Setup, keeper: int, requests: int, answers: int, out: int, err: int) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        for number in KEEPER_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(0)
        files = min(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        # High numbers, so that a descriptor the user's code opens after closing ours does not land on one of them.
        requests = fcntl.fcntl(requests, fcntl.F_DUPFD_CLOEXEC, files - 8)
        answers = fcntl.fcntl(answers, fcntl.F_DUPFD_CLOEXEC, files - 8)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.closerange(3, files - 8)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        # By lines, so that what was printed before a hang is in the tail.
        sys.stdout = open(1, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
        serve(setup, requests, answers)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def end_orphans() -> None:
    """Kill the descendants that now are our own children, and theirs, until none is left."""
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    while listing.exists() and (children := listing.read_text().split()):
        for child in map(int, children):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
