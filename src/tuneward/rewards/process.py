"""A reward process as the trainer sees it: a keeper process, two pipes, one call at a time. Linux only."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuneward.rewards.keeper.frames import read_frame, write_frame

KEEPER = Path(__file__).parent / "keeper" / "main.py"

GRACE_S = 60.0
"""Beyond every limit the keeper holds itself; when it is silent for so long, it is given up."""

PASSED_VARIABLES = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR",
    "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "TUNEWARD_ALLOW_UNISOLATED",
})  # fmt: skip
PASSED_PREFIXES = ("LC_", "TUNEWARD_REWARD_")
"""`TUNEWARD_REWARD_*` is how a user hands a reward function a key on purpose; no other secret gets there."""

STEADY_VARIABLES = {
    "PYTHONHASHSEED": "0",  # The order of a set of strings must not differ from one process to the next.
    # One core each, lest numerical libraries in reward processes compete with training for all of them; fewer
    # arenas, because each maps 64 MiB that would count against the memory limit.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}


@dataclass(frozen=True, slots=True)
class Call:
    """How one call ended."""

    kind: str
    """`answer`, `raised`, `unserialisable`, `too_large`, `oom`, `timeout`, `died`, `garbled`, `unloadable`, `lost`
    when the keeper itself is gone, or `closed`."""
    answer: bytes = b""
    """JSON, when `kind` is `answer`."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What the keeper says beside: `type`, `text`, `line` of an exception, `exit_code`, `report` of a failed load."""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_memory_bytes: int = 0
    stdout_tail: str = ""
    stderr_tail: str = ""


class KeptProcess:
    """Starts a keeper and talks to it; used by one thread, except `end`.

    Args:
        setup: what the reward process needs, see `keeper.worker.Setup`.
        environment: variables of the keeper and, without a sandbox, of the reward process; None: those of this
            process that `reward_environment` lets through.
    """

    def __init__(self, setup: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
        self._setup = dict(setup)
        self._environment = environment
        self._limit_s = setup["import_timeout_s"] * 2 + setup["timeout_s"] + GRACE_S
        self._popen: subprocess.Popen[bytes] | None = None
        self._report: dict[str, Any] | None = None
        self._is_ended = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the keeper; it loads the user's file in the background. Raises OSError when it cannot be started."""
        with self._lock:  # An end that comes now must find either no process or a whole one.
            if self._is_ended:
                return
            self._report = None
            self._popen = subprocess.Popen(
                # -P: neither the keeper's folder nor the working folder is a place to import from.
                [sys.executable, "-P", str(KEEPER), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=reward_environment(os.environ) if self._environment is None else self._environment,
                bufsize=0,
                start_new_session=True,  # A Ctrl-C in the terminal is the trainer's business.
            )
        self._write(json.dumps(self._setup).encode())

    def wait_loaded(self) -> dict[str, Any]:
        """The load report: `kind` is `ok`, `raised`, `missing`, `unfit`, `timeout`, `died`, `garbled` or `lost`."""
        if self._report is None:
            try:
                self._report = json.loads(self._read())
            except (OSError, EOFError):
                self._discard()
                return {"kind": "lost"}
        assert self._report is not None
        return self._report

    def call(self, event: bytes) -> Call:
        """Have one event (JSON) answered; returns within the time limits, whatever happens to the processes."""
        try:
            if self._popen is None:
                self.start()
            if self.wait_loaded()["kind"] == "lost":
                return self._lost()
            self._write(event)
            outcome, answer = json.loads(self._read()), self._read()
        except (OSError, EOFError):
            self._discard()
            return self._lost()
        return Call(
            outcome.pop("kind"),
            answer,
            wall_s=outcome.pop("wall_s"),
            cpu_s=outcome.pop("cpu_s"),
            peak_memory_bytes=outcome.pop("peak_memory_bytes"),
            stdout_tail=outcome.pop("stdout"),
            stderr_tail=outcome.pop("stderr"),
            detail=outcome,
        )

    def end(self) -> None:
        """End the keeper and everything under it, and wait until it is gone. Any thread may call it, and twice."""
        with self._lock:
            self._is_ended = True
            popen = self._popen
        if popen is None:
            return
        popen.terminate()
        try:
            popen.wait(timeout=5)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()

    def close_pipes(self) -> None:
        """Give the descriptors back, once no thread uses them."""
        if self._popen is not None:
            for pipe in (self._popen.stdin, self._popen.stdout):
                assert pipe is not None
                pipe.close()

    def _lost(self) -> Call:
        return Call("closed" if self._is_ended else "lost")

    def _discard(self) -> None:
        """Give up a keeper that is gone or silent; the next call starts another."""
        if self._popen is not None and not self._is_ended:
            self._popen.kill()
            self._popen.wait()
            self.close_pipes()
            self._popen = None

    def _write(self, frame: bytes) -> None:
        assert self._popen is not None
        assert self._popen.stdin is not None
        write_frame(self._popen.stdin.fileno(), frame)

    def _read(self) -> bytes:
        if self._popen is None:
            raise EOFError
        assert self._popen.stdout is not None
        fd = self._popen.stdout.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(self._limit_s * 1000):
            raise EOFError
        return read_frame(fd)


def reward_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables a reward process gets: an allow-list, so that keys of the trainer stay with the trainer."""
    kept = {
        name: value
        for name, value in environment.items()
        if name in PASSED_VARIABLES or name.startswith(PASSED_PREFIXES)
    }
    return kept | STEADY_VARIABLES
