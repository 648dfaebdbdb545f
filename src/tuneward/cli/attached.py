"""`python -m tuneward.cli.attached PARENT ARGUMENTS…`: a command that is told to stop when its parent is gone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """PARENT is the id of the process that started this one; it may have died since."""
    parent, *arguments = sys.argv[1:]
    if sys.platform == "linux":  # elsewhere the command goes on until it is stopped
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(0)
    from tuneward.cli.app import main as tuneward

    sys.argv = ["tuneward", *arguments]
    tuneward()


if __name__ == "__main__":
    main()
