"""One Python script, run in a sandbox of its own: what test suites of generated code are made of."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuneward.rewards.keeper.cell import Cell
from tuneward.rewards.sandbox.capture import Capture
from tuneward.rewards.sandbox.command import (
    HOME,
    MARKER,
    outermost,
    package_folders,
    python_folders,
    sandbox_command,
    sandbox_environment,
)
from tuneward.rewards.sandbox.descriptors import descriptors_of
from tuneward.rewards.sandbox.probe import Place, place_for
from tuneward.rewards.sandbox.seccomp import system_call_filter
from tuneward.types import Verdict

BOOT = Path(__file__).with_name("boot.py")
SCRIPT = HOME / "main.py"
INTERPRETER_BYTES = 48 << 20
"""Address space of the interpreter itself, on top of what a script may use."""
DISK_BYTES = 256 << 20
WATCH_S = 0.05


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """How a script ended."""

    verdict: Verdict
    """`ok`: exit status 0; `error`: another one, or killed; `timeout`; `oom`."""
    exit_code: int | None
    """Negative: the signal that killed it; None when it was stopped for its time or memory."""
    stdout: str
    """The first bytes, as far as the limit allows."""
    stderr: str
    """The last bytes, as far as the limit allows."""
    wall_s: float


def run_python(
    source: str,
    *,
    stdin: str = "",
    argv: Sequence[str] = (),
    timeout_s: float = 10,
    memory_mb: int = 256,
    output_limit_bytes: int = 1 << 16,
) -> ProgramRun:
    """Run a script in a fresh sandbox, with an empty folder of its own, and wait for its end.

    Inside a sandbox, where there can be no second one, it runs beside the caller with the same limits, and everything
    it leaves behind is killed. Any thread may call.

    Args:
        source: the script; installed packages can be imported.
        stdin: its standard input.
        argv: its arguments, without its own name.
        timeout_s: wall-clock limit in seconds; also the limit of processor time of each of its processes.
        memory_mb: MiB that it and its processes may use beside the interpreter.
        output_limit_bytes: kept of each of standard output and error.

    Raises:
        GraderError: there is no sandbox here, and the operator does not allow to do without.
    """
    place = place_for("run_python")
    limits = {
        "as": (memory_mb << 20) + INTERPRETER_BYTES,
        "cpu": math.ceil(timeout_s) + 1,
        "nofile": 256,
    }
    prepare = _in_sandbox if place == "sandbox" else _beside_us
    with prepare(source.encode(), argv, limits) as (command, fds, folder):
        start = time.monotonic()
        process = subprocess.Popen(
            command,
            env=sandbox_environment(),
            pass_fds=fds,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        return _attend(process, place, start, stdin.encode(), timeout_s, memory_mb << 20, output_limit_bytes)


_Prepared = tuple[list[str], list[int], str | None]
"""Command, descriptors for it, working folder."""


def _python(script: Path, argv: Sequence[str]) -> list[str]:
    return [sys.executable, "-I", "-S", str(BOOT), ":".join(package_folders()), str(script), *argv]


@contextlib.contextmanager
def _in_sandbox(source: bytes, argv: Sequence[str], limits: dict[str, int]) -> Iterator[_Prepared]:
    with descriptors_of(system_call_filter(), source) as fds:
        command = sandbox_command(
            _python(SCRIPT, argv),
            readable=outermost([*python_folders(), BOOT]),
            disk_bytes=DISK_BYTES,
            filter_fd=fds[0],
            file=SCRIPT,
            file_fd=fds[1],
            limits=limits,
        )
        yield command, fds, None


@contextlib.contextmanager
def _beside_us(source: bytes, argv: Sequence[str], limits: dict[str, int]) -> Iterator[_Prepared]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        script = Path(folder, "main.py")
        script.write_bytes(source)
        options = [f"--{name}={value}" for name, value in {**limits, "fsize": DISK_BYTES, "core": 0}.items()]
        yield ["prlimit", *options, "--", *_python(script, argv)], [], folder


def _attend(
    process: subprocess.Popen[bytes],
    place: Place,
    start: float,
    stdin: bytes,
    timeout_s: float,
    memory_bytes: int,
    output_limit_bytes: int,
) -> ProgramRun:
    cell = Cell(process.pid) if place == "sandbox" else None
    limit_bytes = memory_bytes + INTERPRETER_BYTES
    verdict: Verdict | None = None
    with Capture(process, stdin, output_limit_bytes) as capture:
        while not capture.wait(min(WATCH_S, max(0.0, start + timeout_s - time.monotonic()))):
            if time.monotonic() >= start + timeout_s:
                verdict = Verdict.TIMEOUT
            elif cell and cell.memory_bytes(limit_bytes) > limit_bytes:
                verdict = Verdict.OOM
            if verdict:
                break
        _kill(process, place)
        code = process.wait()
        stdout, stderr = capture.rest()
    wall_s = time.monotonic() - start
    if verdict:
        return ProgramRun(verdict, None, stdout, stderr, wall_s)
    if place == "sandbox" and code > 128:
        code = 128 - code  # Bubblewrap reports a signal as shells do.
    if code == 0:
        return ProgramRun(Verdict.OK, code, stdout, stderr, wall_s)
    if code == -signal.SIGXCPU:
        return ProgramRun(Verdict.TIMEOUT, None, stdout, stderr, wall_s)
    is_oom = stderr.rstrip().rpartition("\n")[2].startswith("MemoryError")
    return ProgramRun(Verdict.OOM if is_oom else Verdict.ERROR, code, stdout, stderr, wall_s)


def _kill(process: subprocess.Popen[bytes], place: Place) -> None:
    """End the script and what it started; without a sandbox of its own, what left its process group may live on."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if place == "nested":
        _kill_orphans()


def _kill_orphans() -> None:
    """In a sandbox, kill the processes that lost their parent: they belong to the sandbox's first process now."""
    assert MARKER.exists()
    listing = Path("/proc/1/task/1/children")
    ours = _ancestors()
    while orphans := [child for child in map(int, listing.read_text().split()) if child not in ours]:
        for child in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)


def _ancestors() -> set[int]:
    found = {os.getpid()}
    process = os.getppid()
    while process > 1:
        found.add(process)
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return found
