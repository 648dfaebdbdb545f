"""Make the virtual environments of a clone: `.venv` for working on Tuneward, `.venv-trl` for the comparison with TRL.

Standard library only, because it runs before anything is installed. It is also read by the Python that happens to be
called `python3`, however old, which is why newer syntax and `tomllib` stay out of the parts that run before the
version check.

    python3 scripts/setup_env.py           # .venv with Tuneward (editable), its dependencies and the dev group
    python3 scripts/setup_env.py --trl     # .venv-trl from benchmarks/requirements-trl.txt

A stamp in the environment holds a hash of everything it was made from; while it matches, nothing is done.
`TUNEWARD_TORCH` replaces the torch requirement, e.g. `TUNEWARD_TORCH=torch==2.15.0`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
OTHER_PYTHONS = ("python3.12", "python3.11", "python3.13")
TORCH_VERSION = "2.13.0"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Where the builds without CUDA are published; the normal index holds only the CUDA build for Linux."""


class SetupError(Exception):
    """Setup cannot go on; the text says why and what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the virtual environment of this clone.")
    parser.add_argument("--trl", action="store_true", help="make .venv-trl, for `make bench`, instead of .venv")
    arguments = parser.parse_args()
    try:
        _continue_with_a_new_enough_python()
        if arguments.trl:
            _make(".venv-trl", ROOT / "benchmarks" / "requirements-trl.txt")
        else:
            _make(".venv", ROOT / "pyproject.toml")
            _build_console(ROOT / ".venv")
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


def _continue_with_a_new_enough_python() -> None:
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return
    for name in OTHER_PYTHONS:
        found = shutil.which(name)
        # Being on PATH is not enough: version managers leave launchers there for versions that are not active.
        if found and _python_version(Path(found)) is not None:
            os.execv(found, [found, *sys.argv])
    raise SetupError(
        f"Tuneward needs Python {_dotted(OLDEST_PYTHON)} or newer; {sys.executable} is {platform.python_version()} and "
        f"none of {', '.join(OTHER_PYTHONS)} works here. Install one, or name it: make setup PYTHON=/path/to/python3."
    )


def _make(name: str, source: Path) -> None:
    """Bring the environment `name` to what `source` asks for, unless its stamp says that it is there already."""
    folder = ROOT / name
    stamp = folder / ".tuneward-stamp"
    wanted = _fingerprint(source)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    started = time.monotonic()
    # An interrupted setup must not pass for a finished one.
    with contextlib.suppress(FileNotFoundError):
        stamp.unlink()

    if not _is_usable(folder):
        _say(name, f"creating it with Python {platform.python_version()}")
        _create(folder)
    torch, why = _torch_requirement()
    _say(name, f"installing {torch} ({why})")
    _install_torch(folder, torch)
    if source.name == "pyproject.toml":
        _say(name, "installing tuneward, its dependencies and the development tools")
        wishes = ["--editable", str(ROOT), *_development_tools(source)]
    else:
        _say(name, f"installing {source.relative_to(ROOT)}")
        wishes = ["--requirement", str(source)]
    # Naming torch again keeps the resolver from exchanging the build that was just chosen.
    _pip(folder, [torch, *wishes])

    stamp.write_text(wanted)
    _say(name, f"ready after {time.monotonic() - started:.0f} s")


def _build_console(folder: Path) -> None:
    """Build the web console. Without it everything but its pages works, so a failure is told and forgiven."""
    import build_console

    try:
        if not build_console.has_node():
            _pip(folder, [build_console.NODE_PACKAGE])
    except SetupError as error:
        _say("console", f"not built: {error}")
        return
    done = subprocess.run([str(_python(folder)), str(ROOT / "scripts" / "build_console.py")], cwd=ROOT, check=False)
    if done.returncode != 0:
        _say("console", "not built, so the server has no web pages; `make console` tries again")


def _fingerprint(source: Path) -> str:
    digest = hashlib.sha256()
    for part in (source.read_bytes(), Path(__file__).read_bytes()):
        digest.update(hashlib.sha256(part).digest())
    # The folder counts because the scripts of an environment hold its absolute path.
    for word in (platform.python_version(), str(ROOT), os.environ.get("TUNEWARD_TORCH", "")):
        digest.update(hashlib.sha256(word.encode()).digest())
    return digest.hexdigest() + "\n"


def _is_usable(folder: Path) -> bool:
    """Whether the environment exists, has this Python's version, and was made where it stands now."""
    if _python_version(_python(folder)) != _dotted(sys.version_info[:2]):
        return False
    for line in (folder / "pyvenv.cfg").read_text().splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "command":
            return value.strip().endswith(f" {folder}")
    return True


def _create(folder: Path) -> None:
    made = _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    if made.returncode != 0:
        raise SetupError(
            f"{sys.executable} cannot make a virtual environment:\n{_tail(made)}\n"
            "On Debian and Ubuntu the package python3-venv is missing then."
        )


def _torch_requirement() -> tuple[str, str]:
    """The torch to ask for, and the reason in words."""
    override = os.environ.get("TUNEWARD_TORCH")
    if override:
        return override, "from TUNEWARD_TORCH"
    if sys.platform != "linux":
        return f"torch=={TORCH_VERSION}", "the only build for this system"
    if _has_nvidia_gpu():
        return f"torch=={TORCH_VERSION}", "build with CUDA: there is an NVIDIA GPU"
    return f"torch=={TORCH_VERSION}+cpu", "build without CUDA: no NVIDIA GPU found; about 200 MB"


def _has_nvidia_gpu() -> bool:
    if Path("/dev/nvidia0").exists():
        return True
    # Under WSL there is no such device file, but the tool works.
    tool = shutil.which("nvidia-smi")
    return tool is not None and _run([tool, "--list-gpus"]).returncode == 0


def _install_torch(folder: Path, requirement: str) -> None:
    """Install torch from pip's configured sources, else, for a build without CUDA, from its publisher's own index.

    The configured sources come first because a machine behind a mirror may have the build there and reach nothing
    else. A build with CUDA never takes its place: that is gigabytes nobody asked for.
    """
    is_cpu_build = requirement.endswith("+cpu")
    if not is_cpu_build:
        _pip(folder, [requirement])
        return
    first = _run_pip(folder, [requirement])
    if first.returncode == 0:
        return
    second = _run_pip(folder, ["--extra-index-url", CPU_INDEX, requirement])
    if second.returncode != 0:
        raise SetupError(
            f"{requirement} is neither in pip's configured sources nor to be had from {CPU_INDEX}.\n"
            f"The configured sources said:\n{_tail(first)}\nThe other said:\n{_tail(second)}\n"
            "Make that address reachable, add a source that has the build (pip config set global.find-links …), or "
            f"choose another build: TUNEWARD_TORCH=torch=={TORCH_VERSION} takes the one with CUDA, several GB."
        )


def _development_tools(pyproject: Path) -> list[str]:
    # pip learnt `--group` in 25.1; the pip that comes with Python 3.11 is older.
    import tomllib

    return [str(wish) for wish in tomllib.loads(pyproject.read_text())["dependency-groups"]["dev"]]


def _pip(folder: Path, arguments: list[str]) -> None:
    done = _run_pip(folder, arguments)
    if done.returncode != 0:
        raise SetupError(f"pip install {' '.join(arguments)} failed:\n{_tail(done)}")


def _run_pip(folder: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
    return _run([str(_python(folder)), "-m", "pip", "install", *quiet, *arguments])


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=ROOT, check=False)


def _tail(process: subprocess.CompletedProcess[str], lines: int = 15) -> str:
    """The last lines of what a command printed; pip's warnings (retries, unused sources) only if there is no more."""
    text = process.stderr.strip() or process.stdout.strip() or f"exit status {process.returncode}, no message"
    printed = text.splitlines()
    telling = [line for line in printed if not line.startswith("WARNING:")] or printed
    return "\n".join(f"    {line}" for line in telling[-lines:])


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _python_version(interpreter: Path) -> str | None:
    """`major.minor` of an interpreter; None when it does not exist or does not start."""
    try:
        asked = _run([str(interpreter), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    except OSError:
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def _say(name: str, text: str) -> None:
    print(f"setup {name}: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
