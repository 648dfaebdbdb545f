"""Keeper of one reward process: starts it, relays batches, ends it at the deadline, and cleans up behind it.

Standard library alone; Linux only. It is a process of its own, between the trainer and the user's code, because then

- a replacement is a fork of this small single-threaded process, never of the trainer with its threads and memory;
- standard output and error are drained here, so that 50 MB of prints cost the trainer nothing;
- as the reaper of every descendant it finds and ends what the user's code left behind, in whatever session;
- it outlives a trainer that is killed: it sees its request pipe end, or gets the parent-death signal. That signal
  also comes when just the thread that started a process ends, so it is only a reason to look at the parent again.

Without a sandbox it limits accidents; code that means harm then runs with its user's rights. In a sandbox (see
`cell.py`) nothing can reach this process: it stays outside, counts the memory of all processes inside, has them stand
still between calls, and starts anew when a call left something behind.

On standard input: the setup (JSON), then events, each one frame. On standard output: the load report of the first
process, then for each event an outcome (JSON) and the answer (JSON, empty unless the outcome is `answer`).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import struct
import time
from typing import Any, NoReturn

from . import claims
from .child import KEEPER_SIGNALS, PIPE_BYTES, PR_SET_PDEATHSIG, Inbox, RewardProcess, end_orphans, libc
from .frames import LENGTH, read_frame, write_frame
from .worker import Setup

CONTROL, REPLIES = 0, 1
START_LIMIT_S = 30.0
"""Time for a loaded, idle process to take up a batch; beyond it the process is stuck and counts as timed out."""

WATCH_S = 0.05
"""How often the memory of a busy sandbox is looked at."""
LOADING_BYTES = 2 << 30
"""Memory that loading a file may take in a sandbox beside what calls may."""

TIMED = {"loading", "starting", "running"}
"""Phases with a deadline."""

PR_SET_CHILD_SUBREAPER = 36


class Warden:
    """The loop. At most one event is in hand; the trainer sends the next after the reply."""

    def __init__(self, setup: Setup, trainer: int) -> None:
        self._setup = setup
        self._trainer = trainer
        self._control = Inbox(CONTROL)
        os.set_blocking(CONTROL, False)
        self._wake, wake_end = os.pipe()
        for fd in (self._wake, wake_end):
            os.set_blocking(fd, False)
        # The thread that started us may have had signals blocked, and that is inherited.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number in KEEPER_SIGNALS:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(wake_end)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)
        self._process: RewardProcess | None = None
        self._phase = "none"  # none, loading, idle, starting (event on its way), running
        self._deadline = 0.0
        self._memory_limit = 0
        self._event: bytes | None = None
        self._outgoing = memoryview(b"")
        self._entered = 0.0
        self._cpu_before = 0.0
        self._has_reported = False

    def run(self) -> NoReturn:
        """Serve until the trainer is gone or asks for the end."""
        self._start()
        while True:
            self._look_at_parent()
            ready = self._wait()
            if self._wake in ready:
                self._wake_up()
            if self._process is not None:
                self._attend(self._process, ready)
            if CONTROL in ready:
                self._take_event()
            if self._phase in TIMED and time.monotonic() > self._deadline:
                self._finish("timeout")
            elif self._phase in TIMED and self._is_over_memory():
                self._finish("oom")

    def _wait(self) -> set[int]:
        poll = select.poll()
        poll.register(CONTROL, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        if self._process is not None:
            for pipe in (self._process.answers, self._process.out, self._process.err):
                if pipe.is_open:
                    poll.register(pipe.fd, select.POLLIN)
            if self._outgoing:
                poll.register(self._process.requests, select.POLLOUT)
        if self._phase not in TIMED:
            return {fd for fd, _ in poll.poll()}
        left_s = max(0.0, self._deadline - time.monotonic()) + 0.001
        if self._process is not None and self._process.cell:
            left_s = min(left_s, WATCH_S)
        return {fd for fd, _ in poll.poll(left_s * 1000)}

    def _is_over_memory(self) -> bool:
        cell = self._process.cell if self._process is not None else None
        return cell is not None and cell.memory_bytes(self._memory_limit) > self._memory_limit

    def _wake_up(self) -> None:
        signals = os.read(self._wake, PIPE_BYTES)
        if {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}.intersection(signals):
            self._leave()
        is_dead = False
        with contextlib.suppress(ChildProcessError):
            # Left unreaped until its group is killed, so that the group's number cannot pass to a stranger.
            while not is_dead and (child := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
                is_dead = self._process is not None and child.si_pid == self._process.pid
                if not is_dead:
                    os.waitpid(child.si_pid, 0)
        if is_dead and (process := self._process) is not None:
            self._take_answers(process)
            if self._process is process:
                self._finish("died")

    def _look_at_parent(self) -> None:
        if os.getppid() != self._trainer:
            self._leave()

    def _leave(self) -> NoReturn:
        if self._process is not None:
            self._process.end()
        end_orphans()
        os._exit(0)

    def _take_event(self) -> None:
        self._control.fill()
        if not self._control.is_open:
            self._leave()
        if (event := self._control.frame()) is None:
            return
        self._event = event
        if self._process is None:
            self._start()
        elif self._phase == "idle":
            self._begin(self._process)

    def _start(self) -> None:
        self._process = RewardProcess(self._setup)
        self._outgoing = memoryview(self._process.greeting)
        self._memory_limit = LOADING_BYTES + self._setup["memory_bytes"]
        self._enter("loading", self._setup["import_timeout_s"])

    def _begin(self, process: RewardProcess) -> None:
        assert self._event is not None
        for tail in (process.out, process.err):
            tail.fill()
            tail.kept = b""
        self._outgoing = memoryview(LENGTH.pack(len(self._event)) + self._event)
        self._enter("starting", START_LIMIT_S)
        self._send(process)
        if process.cell:
            process.cell.thaw()

    def _enter(self, phase: str, limit_s: float = 0.0) -> None:
        self._phase, self._entered = phase, time.monotonic()
        self._deadline = self._entered + limit_s

    def _send(self, process: RewardProcess) -> None:
        try:
            self._outgoing = self._outgoing[os.write(process.requests, self._outgoing) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._outgoing = memoryview(b"")  # It died; the signal that says so is on its way.

    def _attend(self, process: RewardProcess, ready: set[int]) -> None:
        for tail in (process.out, process.err):
            if tail.fd in ready:
                tail.fill()
        if process.requests in ready and self._outgoing:
            self._send(process)
        if process.answers.fd in ready:
            self._take_answers(process)

    def _take_answers(self, process: RewardProcess) -> None:
        process.answers.fill()
        try:
            while self._process is process and (frame := process.answers.frame()) is not None:
                self._take_frame(process, frame)
        except (ValueError, struct.error):
            self._finish("garbled")

    def _take_frame(self, process: RewardProcess, frame: bytes) -> None:
        tag, body = frame[:1], frame[1:]
        if tag == b"L" and self._phase == "loading":
            self._take_report(process, claims.load_report(body))
        elif tag == b"S" and self._phase == "starting":
            self._cpu_before = claims.seconds(body)
            self._enter("running", self._setup["timeout_s"])
        elif tag == b"A" and self._phase == "running":
            size = LENGTH.unpack_from(body)[0]
            outcome = claims.call_outcome(body[LENGTH.size :][:size])
            for tail in (process.out, process.err):
                tail.fill()
            self._reply(process, outcome, body[LENGTH.size + size :])
            self._enter("idle")
            # What filled the memory may live on in the module, and what was left behind would go on in its sandbox.
            if outcome["kind"] == "oom" or (process.cell and not process.cell.is_clean()):
                process.end()
                self._start()
            elif process.cell:
                process.cell.freeze()
        else:
            raise ValueError(tag)

    def _take_report(self, process: RewardProcess, report: dict[str, Any]) -> None:
        if report["kind"] != "ok":
            process.end()
            self._fail_load(process, report)
            return
        self._report_once(report)
        self._enter("idle")
        if process.cell:
            self._memory_limit = process.cell.memory_bytes(0) + self._setup["memory_bytes"]
        if self._event is not None:
            self._begin(process)
        elif process.cell:
            process.cell.freeze()

    def _finish(self, kind: str) -> None:
        """End the process that timed out, died or wrote what it should not, and start another."""
        assert self._process is not None
        process, phase, wall_s = self._process, self._phase, time.monotonic() - self._entered
        ending = process.end()
        self._process = None
        self._outgoing = memoryview(b"")
        if phase == "loading":
            self._fail_load(process, {"kind": kind, "exit_code": ending.exit_code})
        elif phase == "idle":
            self._enter("none")  # Not before the next event, lest a file whose process dies idle be reloaded for ever.
        else:
            is_running = phase == "running"
            cpu_s = ending.cpu_s - self._cpu_before if is_running else 0.0
            outcome = {
                "kind": kind,
                "exit_code": ending.exit_code,
                "is_started": is_running,
                "wall_s": wall_s if is_running else 0.0,
                "cpu_s": max(0.0, cpu_s),
                "peak_memory_bytes": ending.peak_memory_bytes,
            }
            self._reply(process, outcome)
            self._start()

    def _fail_load(self, process: RewardProcess, report: dict[str, Any]) -> None:
        self._process = None
        self._enter("none")
        self._report_once({**report, "stderr": process.err.text()})
        if self._event is not None:
            usage = {"wall_s": 0.0, "cpu_s": 0.0, "peak_memory_bytes": 0}
            self._reply(process, {"kind": "unloadable", "report": report, **usage})

    def _report_once(self, report: dict[str, Any]) -> None:
        if not self._has_reported:
            self._has_reported = True
            self._write(json.dumps(report).encode())

    def _reply(self, process: RewardProcess, outcome: dict[str, Any], answer: bytes = b"") -> None:
        self._event = None
        tails = {"stdout": process.out.text(), "stderr": process.err.text()}
        self._write(json.dumps({**outcome, **tails}).encode())
        self._write(answer)

    def _write(self, frame: bytes) -> None:
        try:
            write_frame(REPLIES, frame)
        except BrokenPipeError:
            self._leave()


def main(trainer: int) -> NoReturn:
    """Keep a reward process for the process `trainer`, our parent, until it is gone."""
    Warden(json.loads(read_frame(CONTROL)), trainer).run()
