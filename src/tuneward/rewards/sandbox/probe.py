"""Whether a sandbox can be had here, found out by starting one."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from typing import Literal

from tuneward.errors import GraderError
from tuneward.rewards.sandbox import seccomp
from tuneward.rewards.sandbox.command import MARKER, python_folders, sandbox_command, sandbox_environment
from tuneward.rewards.sandbox.descriptors import descriptors_of

ALLOW_VARIABLE = "TUNEWARD_ALLOW_UNISOLATED"
PROBE_TIMEOUT_S = 30.0

Place = Literal["sandbox", "nested", "unisolated"]


def place_for(what: str) -> Place:
    """Where code that wants a sandbox runs: in one, in the one we are in already, or, if the operator says so, in none.

    Args:
        what: names the code in messages.

    Raises:
        GraderError: there is no sandbox here, and the operator does not allow to do without.
    """
    if MARKER.exists():
        return "nested"
    problem = sandbox_problem()
    if not problem:
        return "sandbox"
    if os.environ.get(ALLOW_VARIABLE) == "1":
        return "unisolated"
    raise GraderError(
        f"{what}: it must run in a sandbox, and none can be started here ({problem}). Install bubblewrap and "
        "util-linux, and allow user namespaces to this user (in Docker: --security-opt seccomp=unconfined "
        f"--security-opt systempaths=unconfined); {ALLOW_VARIABLE}=1 runs such code with your own rights instead."
    )


def isolation_problem(what: str) -> str:
    """Why code that wants a sandbox cannot run here, as `place_for` says it; empty when it can."""
    try:
        place_for(what)
    except GraderError as error:
        return str(error)
    return ""


@functools.cache
def sandbox_problem() -> str:
    """Why no sandbox can be started here; empty when one can."""
    if not seccomp.is_supported():
        return "this processor has no filter of system calls"
    if shutil.which("bwrap") is None:
        return "bwrap is not installed"
    program = [sys.executable, "-I", "-S", "-c", "pass"]
    with descriptors_of(seccomp.system_call_filter()) as (fd,):
        command = sandbox_command(program, readable=python_folders(), disk_bytes=1 << 20, filter_fd=fd)
        try:
            process = subprocess.run(
                command,
                env=sandbox_environment(),
                pass_fds=[fd],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PROBE_TIMEOUT_S,
                start_new_session=True,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if process.returncode == 0:
        return ""
    lines = process.stderr.decode(errors="replace").split("\n")
    return next((line.strip() for line in lines if line.strip()), f"exit status {process.returncode}")
