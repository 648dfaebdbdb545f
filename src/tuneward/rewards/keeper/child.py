"""One reward process seen from its keeper: how it is started, the pipes to it, and how it is ended. Linux only."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .cell import Cell
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


@dataclass(frozen=True)
class Ending:
    """How a process ended and what it used, with its descendants."""

    exit_code: int
    """Negative: the signal that killed it."""
    cpu_s: float
    peak_memory_bytes: int


class RewardProcess:
    """One living process with our ends of its pipes."""

    cell: Cell | None = None
    """The sandbox it lives in."""
    greeting = b""
    """What it must be sent first: a sandboxed one shares no memory with us that would hold the setup."""

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
        if "sandbox" in setup:
            self.cell = Cell(self.pid)
            said = json.dumps({key: value for key, value in setup.items() if key != "sandbox"}).encode()
            self.greeting = LENGTH.pack(len(said)) + said

    def end(self) -> Ending:
        """Kill the process with its group, then all they left behind."""
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
        orphans = end_orphans()
        # The first process inside a sandbox is among them, and answers for all others in there.
        usages = [usage, *orphans] if self.cell else [usage]
        code = os.waitstatus_to_exitcode(status)
        return Ending(
            # Bubblewrap reports a signal as shells do.
            128 - code if self.cell and code > 128 else code,
            sum(usage.ru_utime + usage.ru_stime for usage in usages),
            max(usage.ru_maxrss for usage in usages) * 1024,
        )


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
        sandbox = setup.get("sandbox")
        # High numbers, so that a descriptor the user's code opens after closing ours does not land on one of them.
        duplicate = fcntl.F_DUPFD if sandbox else fcntl.F_DUPFD_CLOEXEC
        requests = fcntl.fcntl(requests, duplicate, files - 8)
        answers = fcntl.fcntl(answers, duplicate, files - 8)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.closerange(3, files - 8)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if sandbox:
            _enter_sandbox(sandbox, setup["source"].encode("latin-1"), requests, answers)
        serve(setup, requests, answers)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _enter_sandbox(sandbox: dict[str, Any], source: bytes, requests: int, answers: int) -> NoReturn:
    """Become bubblewrap, which finds the filter on descriptor 3 and the program's file on 4."""
    for expected, content in enumerate((sandbox["filter"].encode("latin-1"), source), start=3):
        fd = os.memfd_create("content", 0)
        assert fd == expected  # All lower ones are taken, all others closed.
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
    command = [*sandbox["command"], str(requests), str(answers)]
    os.execve(command[0], command, sandbox["environment"])


def end_orphans() -> list[resource.struct_rusage]:
    """Kill the descendants that now are our own children, and theirs, until none is left; what they used."""
    usages: list[resource.struct_rusage] = []
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    while listing.exists() and (children := listing.read_text().split()):
        for child in map(int, children):
            os.kill(child, signal.SIGKILL)
            usages.append(os.wait4(child, 0)[2])
    return usages
