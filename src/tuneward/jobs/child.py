"""The process of a job, as its worker sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping

from tuneward.jobs.order import Order

COMMAND = (sys.executable, "-m", "tuneward.jobs.process")


class JobProcess:
    """A running process, in a group of its own so that its children end with it.

    Its standard input stays open as long as the worker lives: when it is closed, however the worker ended, the process
    ends too.

    Args:
        order: what it is to do.
        environment: variables beside the worker's own.
        command: for tests; reads the order as `tuneward.jobs.process` does.
    """

    def __init__(self, order: Order, environment: Mapping[str, str], command: tuple[str, ...] = COMMAND):
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=sys.stderr, start_new_session=True, env={**os.environ, **environment}
        )
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended already, which `poll` tells
            self._process.stdin.write(order.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self) -> None:
        """Ask it to finish its step, save and end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its children at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs. What it left running is ended with it."""
        if self._process.returncode is None:
            if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            self.kill()  # before it is reaped: until then the group cannot be anybody else's
            self._process.wait()
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        return self._process.returncode
