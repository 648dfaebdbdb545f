"""What a reward process that wants a sandbox is started with."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tuneward
from tuneward.errors import GraderError
from tuneward.rewards.program import Program
from tuneward.rewards.sandbox.command import (
    HOME,
    PROCESSES,
    WORK,
    outermost,
    package_folders,
    python_folders,
    sandbox_command,
    sandbox_environment,
)
from tuneward.rewards.sandbox.probe import place_for
from tuneward.rewards.sandbox.seccomp import system_call_filter

UNISOLATED = "not isolated"
"""`Receipt.isolation` of code that should be in a sandbox and, by the operator's leave, is not."""

PACKAGE = Path(tuneward.__file__).parent
INSIDE = PACKAGE / "rewards" / "keeper" / "inside.py"
FILTER_FD, FILE_FD = 3, 4
"""Where the keeper puts the filter of system calls and the program's file."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How the processes of a program are started."""

    setup: Mapping[str, Any]
    """For `KeptProcess`."""
    environment: Mapping[str, str] | None
    """For `KeptProcess`."""
    isolation: str
    """What `Receipt.isolation` says."""


def launch(program: Program) -> Launch:
    """How to start a program with the isolation that it asks for.

    Raises:
        GraderError: there is no sandbox here, and the operator does not allow to do without; or the program's folder
            cannot be read in it.
    """
    setup = program.setup()
    if program.isolation == "process":
        return Launch(setup, None, "process")
    place = place_for(program.path.name)
    # No variables of the trainer in any case: whoever wrote the code was not meant to see them.
    environment = sandbox_environment()
    if place != "sandbox":
        return Launch(setup, environment, UNISOLATED if place == "unisolated" else "sandbox")
    if program.folder is not None and os.geteuid() == 0 and program.folder.stat().st_mode & 0o5 != 0o5:
        raise GraderError(
            f"{program.folder}: the sandbox has a user of its own, who cannot read this folder. "
            f"Allow it with: chmod -R a+rX {program.folder}"
        )
    readable = outermost([*python_folders(), PACKAGE, *([program.folder.absolute()] if program.folder else [])])
    file = None
    if program.folder is None:
        file = HOME / program.path.name
        setup |= {"path": str(file), "folder": str(HOME), "work": str(WORK)}
    return Launch(
        {
            **setup,
            "import_paths": [*package_folders(), str(PACKAGE.parent)],
            "sandbox": {
                "command": sandbox_command(
                    # -P: the folder of the worker is no place to import from.
                    [sys.executable, "-P", str(INSIDE)],
                    readable=readable,
                    disk_bytes=program.disk_mb << 20,
                    filter_fd=FILTER_FD,
                    file=file,
                    file_fd=FILE_FD,
                ),
                "environment": environment,
                "filter": system_call_filter().decode("latin-1"),
                "processes": PROCESSES,
            },
        },
        environment,
        "sandbox",
    )
