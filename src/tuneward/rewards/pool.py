"""Warm processes of one program, and the queue in front of them."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future
from queue import SimpleQueue

from tuneward.errors import GraderError
from tuneward.rewards.problems import explain_call, explain_load
from tuneward.rewards.process import Call, KeptProcess
from tuneward.rewards.program import Program
from tuneward.rewards.sandbox.launch import launch
from tuneward.types import Verdict

_Job = tuple[bytes, "Future[Call]"]


class UnloadableError(GraderError):
    """The program's file does not load, or has no handler of the right form.

    Args:
        kind: of the load report, see `KeptProcess.wait_loaded`.
    """

    def __init__(self, message: str, kind: str):
        super().__init__(message)
        self.kind = kind


class ProcessPool:
    """Answers events in up to `workers` processes at the same time; a `Caller` of `event_grader.py`.

    The constructor loads the program once in a process, so a broken file is known before any work is done. The
    process that was busy last is asked first, since it is the warmest.

    Args:
        program: the code and its limits.
        workers: processes, at most.
        is_lazy: start further processes only when all others are busy, instead of at once.

    Raises:
        UnloadableError: the file does not load, or has no handler that takes (event, context).
        GraderError: the program wants a sandbox and there is none.
    """

    def __init__(self, program: Program, workers: int, *, is_lazy: bool = False) -> None:
        self._program = program
        self._launch = launch(program)
        self._lock = threading.Lock()
        self._is_closed = False
        self._owner = os.getpid()
        self._backlog: deque[_Job] = deque()
        self._slots = [
            _Slot(self, KeptProcess(self._launch.setup, self._launch.environment), index) for index in range(workers)
        ]
        self._idle = self._slots[::-1]  # The last one is asked next.
        try:
            for slot in self._slots[: 1 if is_lazy else workers]:
                slot.process.start()
            report = self._slots[0].process.wait_loaded()
        except OSError as error:
            report = {"kind": "lost", "reason": str(error)}
        if report["kind"] != "ok":
            self.close()
            raise UnloadableError(explain_load(report, program), report["kind"])

    @property
    def name(self) -> str:
        return self._program.name

    @property
    def source(self) -> str:
        """Names the program in messages, e.g. `reward.py: lambda_handler`."""
        return f"{self._program.path.name}: {self._program.handler}"

    @property
    def limits(self) -> dict[str, float]:
        return self._program.limits

    @property
    def isolation(self) -> str:
        """What holds the processes in fact; see `Receipt.isolation`."""
        return self._launch.isolation

    def submit(self, event: bytes) -> Future[Call]:
        """Have one event (JSON) answered; the future never fails.

        Raises:
            GraderError: this process is a forked copy of the one that built the pool.
        """
        if os.getpid() != self._owner:
            # A copy has the pipes but not the threads that serve them: it would wait for ever.
            raise GraderError(f"{self.name}: the grader belongs to another process. Build one in each process.")
        future: Future[Call] = Future()
        with self._lock:
            if self._is_closed:
                future.set_result(Call("closed"))
            elif self._idle:
                self._idle.pop().take((event, future))
            else:
                self._backlog.append((event, future))
        return future

    def explain(self, call: Call, samples: int) -> tuple[Verdict, str]:
        """Verdict and sentence for a call without an answer."""
        return explain_call(call, samples, self._program)

    def close(self) -> None:
        """End every process and whatever they started; calls under way end as failed. Safe to call twice."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            waiting = list(self._backlog)
            self._backlog.clear()
        for _, future in waiting:
            future.set_result(Call("closed"))
        for slot in self._slots:
            slot.process.end()
        for slot in self._slots:
            slot.close()

    def _next_job(self, slot: _Slot) -> _Job | None:
        """What a slot that is done does next; None: it is idle now."""
        with self._lock:
            if self._backlog:
                return self._backlog.popleft()
            self._idle.append(slot)
            return None


class _Slot:
    """One process and the thread that waits for it, which costs the trainer no interpreter time."""

    def __init__(self, pool: ProcessPool, process: KeptProcess, index: int) -> None:
        self.process = process
        self._pool = pool
        self._inbox: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=f"reward-{index}", daemon=True)

    def take(self, job: _Job) -> None:
        """Start on a job; the process, too, when it has not been started."""
        if self._thread.ident is None:
            self._thread.start()
        self._inbox.put(job)

    def close(self) -> None:
        """Wait for the thread and give the descriptors back; the process has ended before."""
        self._inbox.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        self.process.close_pipes()

    def _serve(self) -> None:
        job: _Job | None
        while (job := self._inbox.get()) is not None:
            while job is not None:
                event, future = job
                try:
                    future.set_result(self.process.call(event))
                except BaseException as error:
                    future.set_exception(error)
                job = self._pool._next_job(self)
