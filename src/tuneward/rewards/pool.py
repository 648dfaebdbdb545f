"""Warm processes of one program, and the queue in front of them."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from queue import SimpleQueue

from tuneward.errors import GraderError
from tuneward.rewards.problems import explain_call, explain_load
from tuneward.rewards.process import Call, KeptProcess
from tuneward.rewards.program import Program
from tuneward.types import Verdict

_Job = tuple[bytes, "Future[Call]"]


class ProcessPool:
    """Answers events in up to `workers` processes at the same time; a `Caller` of `event_grader.py`.

    The constructor loads the program once in a process, so a broken file is known before any work is done; the
    other processes start meanwhile.

    Args:
        program: the code and its limits.
        workers: processes.

    Raises:
        GraderError: the file does not load, or has no handler that takes (event, context).
    """

    def __init__(self, program: Program, workers: int) -> None:
        self._program = program
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._owner = os.getpid()
        self._processes = [KeptProcess(program.setup()) for _ in range(workers)]
        self._threads = [
            threading.Thread(target=_serve, args=(process, self._jobs), name=f"reward-{index}", daemon=True)
            for index, process in enumerate(self._processes)
        ]
        try:
            for process in self._processes:
                process.start()
            report = self._processes[0].wait_loaded()
        except OSError as error:
            report = {"kind": "lost", "reason": str(error)}
        for thread in self._threads:
            thread.start()
        if report["kind"] != "ok":
            self.close()
            raise GraderError(explain_load(report, program))

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
        return self._program.isolation

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
            if self._closed.is_set():
                future.set_result(Call("closed"))
            else:
                self._jobs.put((event, future))
        return future

    def explain(self, call: Call, samples: int) -> tuple[Verdict, str]:
        """Verdict and sentence for a call without an answer."""
        return explain_call(call, samples, self._program)

    def close(self) -> None:
        """End every process and whatever they started; calls under way end as failed. Safe to call twice."""
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
        for process in self._processes:
            process.end()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            process.close_pipes()


def _serve(process: KeptProcess, jobs: SimpleQueue[_Job | None]) -> None:
    """Body of the thread that owns one process; waiting for it costs the trainer no interpreter time."""
    while (job := jobs.get()) is not None:
        event, future = job
        try:
            future.set_result(process.call(event))
        except BaseException as error:
            future.set_exception(error)
