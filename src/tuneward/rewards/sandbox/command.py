"""The command line of a sandbox: what is mounted, which rights are left, which limits hold."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tuneward.rewards.process import STEADY_VARIABLES

HOME = Path("/program")
"""Where a program that is one file lies, read-only, so that nothing can be planted beside it."""
WORK = Path("/tmp/work")
"""The folder it runs in; private, writable and gone with the sandbox."""
MARKER = Path("/.tuneward-sandbox")
"""Exists inside a sandbox; outside, only the owner of the machine could make it."""

PROCESSES = 64
"""Processes and threads in one sandbox."""
SHARED_MEMORY_BYTES = 64 << 20

SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/etc/ssl", "/etc/localtime")


def sandbox_command(
    program: Sequence[str],
    *,
    readable: Sequence[Path],
    disk_bytes: int,
    filter_fd: int,
    file: Path | None = None,
    file_fd: int = -1,
    limits: Mapping[str, int] | None = None,
) -> list[str]:
    """The program's command line with bubblewrap before it; it starts in WORK.

    It must be started with the environment meant for the program: all processes of a sandbox can read the first's.

    Args:
        readable: files and folders to be seen, read-only, besides the system's.
        filter_fd: where bubblewrap finds the filter of `seccomp.py`.
        disk_bytes: all files together; they are held in memory.
        file: where in the sandbox the content of `file_fd` lies, read-only.
        limits: further limits as options of `prlimit`, such as `as` in bytes or `cpu` in seconds.
    """
    # The path to a mount is private to whoever made it, unless said otherwise.
    mounts: list[str] = []
    made = {Path("/"), Path("/tmp"), Path("/dev")}
    parents = [parent for path in (*readable, *filter(None, [file])) for parent in reversed(path.parents)]
    for parent in (*parents, MARKER, WORK):
        if parent not in made:
            mounts += ["--perms", "1777" if parent == WORK else "0755", "--dir", str(parent)]
            made.add(parent)
    for path in readable:
        mounts += ["--ro-bind", str(path), str(path)]
    if file is not None:
        mounts += ["--perms", "0444", "--ro-bind-data", str(file_fd), str(file)]
    all_limits = {"nproc": PROCESSES, "fsize": disk_bytes, "core": 0, **(limits or {})}
    return [
        shutil.which("bwrap") or "bwrap",
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"),
        *_identity_options(),
        *(option for path in SYSTEM for option in ("--ro-bind-try", path, path)),
        *("--proc", "/proc", "--dev", "/dev"),
        *("--perms", "1777", "--size", str(SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),
        *("--perms", "1777", "--size", str(disk_bytes), "--tmpfs", "/tmp"),
        *mounts,
        *("--remount-ro", "/", "--chdir", str(WORK), "--seccomp", str(filter_fd), "--"),
        *_identity_change(),
        *("prlimit", *(f"--{name}={value}" for name, value in all_limits.items()), "--"),
        *program,
    ]


def sandbox_environment() -> dict[str, str]:
    """The variables of a sandboxed process: none of ours, but the time zone."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "TMPDIR": "/tmp",
        "USER": "sandbox",
        "LANG": "C.UTF-8",
        **{name: value for name, value in os.environ.items() if name == "TZ"},
        **STEADY_VARIABLES,
    }


def python_folders() -> list[Path]:
    """What the Python that runs here consists of: its installation, its virtual environment, its packages."""
    prefixes = (sys.base_prefix, os.path.realpath(sys.base_prefix), sys.prefix)
    return outermost(map(Path, (*prefixes, *package_folders())))


def package_folders() -> list[str]:
    """Where the Python that runs here finds installed packages."""
    return [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]


def outermost(paths: Iterable[Path]) -> list[Path]:
    """The paths that exist, without those in a system folder and those inside of another."""
    system = [Path(path) for path in SYSTEM]
    kept: list[Path] = []
    for path in sorted({path for path in paths if path.exists()}, key=lambda path: len(path.parts)):
        if not any(path.is_relative_to(other) for other in (*system, *kept)):
            kept.append(path)
    return kept


def _identity_options() -> list[str]:
    """Root needs no user namespace, and could not hide behind one: the kernel exempts it from the process limit."""
    if os.geteuid() == 0:
        return ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    return ["--unshare-user", "--uid", "65534", "--gid", "65534"]


def _identity_change() -> list[str]:
    if os.geteuid() != 0:
        return []
    user = str(_private_id())
    return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all", "--no-new-privs"]


def _private_id() -> int:
    """A user of this sandbox alone, since the kernel counts processes by user; from the upper half of those there are,
    which are few in a container without root's rights."""
    spans = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    first, count = max(((int(first), int(count)) for first, _, count in spans), key=lambda span: span[1])
    end = min(first + count, 1 << 31)
    start = (first + end) // 2
    return start + secrets.randbelow(end - start)
