"""Workers beside a server: started with it, started again when they die, stopped before it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LOOK_S = 0.2
SHORT_LIFE_S = 60.0
"""A worker that died sooner is started again later each time, after at most this long."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Place:
    """One of the workers, and the process that is it at the moment."""

    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    wait_s: float = 1.0


class WorkerProcesses:
    """Keeps processes running.

    Args:
        count: how many.
        arguments: of the `tuneward` command.
        environment: variables beside this process's own.
        module: what runs them; it is given this process's id before the arguments.
    """

    def __init__(
        self,
        count: int,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        module: str = "tuneward.cli.attached",
    ):
        self._command = [sys.executable, "-m", module, str(os.getpid()), *arguments]
        self._environment = dict(environment)
        self._places = [_Place() for _ in range(count)]
        self._stopping = threading.Event()
        self._stops = 0
        # The kernel tells a process that its parent is gone when the thread that started it ends: so it is this one.
        self._thread = threading.Thread(target=self._run, name="workers", daemon=True)

    @property
    def pids(self) -> list[int]:
        """Of those that run now."""
        return [place.process.pid for place in self._places if place.process and place.process.poll() is None]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Have jobs saved and given back, and return when all workers have ended. Any thread may call."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def stop_at_once(self) -> None:
        """Ask a second time: jobs are cut off, and go on later from their newest checkpoint. Returns immediately."""
        self._signal()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for place in self._places:
                self._look(place)
            self._stopping.wait(LOOK_S)
        self._signal()
        for place in self._places:
            if place.process is not None:
                place.process.wait()

    def _look(self, place: _Place) -> None:
        now = time.monotonic()
        if place.process is not None:
            status = place.process.poll()
            if status is None:
                return
            lived_s = now - place.started_at
            place.process = None
            place.start_at = now + place.wait_s
            _log.warning("A worker ended (status %d); another one starts in %.0f s.", status, place.wait_s)
            place.wait_s = 1.0 if lived_s > SHORT_LIFE_S else min(2 * place.wait_s, SHORT_LIFE_S)
        if now >= place.start_at:
            # A session of its own: Ctrl-C is for the server, which tells its workers.
            environment = {**os.environ, **self._environment}
            place.process = subprocess.Popen(
                self._command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
            )
            place.started_at = now

    def _signal(self) -> None:
        for place in self._places:
            if place.process is not None and place.process.poll() is None:
                place.process.send_signal(signal.SIGTERM)
