"""One script in a sandbox of its own, from outside and from inside of a sandbox."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.rewards.sandbox.scene import BOMB, BOMB_S, descendants, samples_of

import tuneward
from tuneward.errors import GraderError
from tuneward.rewards.sandbox import probe, run_python
from tuneward.types import Verdict

SYSTEM_PYTHON = Path("/usr/bin/python3.11")


@pytest.fixture(autouse=True)
def _needs_sandbox() -> None:
    if problem := probe.sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")


def test_a_script_gets_its_input_and_arguments_and_gives_its_output() -> None:
    run = run_python(
        "import sys\nprint(input(), sys.argv[1:], __name__)\nprint('oops', file=sys.stderr)",
        stdin="42\n",
        argv=["a b", "-c"],
        timeout_s=60,
    )
    assert (run.verdict, run.exit_code, run.stdout) == (Verdict.OK, 0, "42 ['a b', '-c'] __main__\n")
    assert run.stderr == "oops\n"
    assert run.wall_s > 0


@pytest.mark.parametrize(
    ("source", "verdict", "exit_code", "text"),
    [
        ("raise SystemExit(3)", Verdict.ERROR, 3, ""),
        ("assert 1 == 2", Verdict.ERROR, 1, "main.py\", line 1, in <module>"),
        ("def f(:", Verdict.ERROR, 1, "SyntaxError"),
        ("import os; os.kill(os.getpid(), 9)", Verdict.ERROR, -9, ""),
        ("x = bytearray(1 << 30)", Verdict.OOM, 1, "MemoryError"),
        ("import socket; socket.create_connection(('1.1.1.1', 53))", Verdict.ERROR, 1, "Network is unreachable"),
        (f"open({str(Path(__file__))!r})", Verdict.ERROR, 1, "No such file"),
        ("open('/program/x', 'w')", Verdict.ERROR, 1, "Read-only file system"),
        ("import os\nassert not [n for n in os.environ if 'KEY' in n or 'PYTEST' in n]", Verdict.OK, 0, ""),
        ("import jsonschema", Verdict.OK, 0, ""),
    ],
)  # fmt: skip
def test_how_a_script_ends_is_told(source: str, verdict: Verdict, exit_code: int, text: str) -> None:
    run = run_python(source, timeout_s=60)
    assert (run.verdict, run.exit_code) == (verdict, exit_code), run
    assert text in run.stderr


def test_what_never_ends_is_ended_with_all_its_processes() -> None:
    before = set(descendants(os.getpid()))
    run = run_python(BOMB, timeout_s=1)
    assert (run.verdict, run.exit_code) == (Verdict.TIMEOUT, None)
    assert run.wall_s < BOMB_S / 2
    assert set(descendants(os.getpid())) <= before


def test_output_is_bounded_and_never_holds_the_script_up() -> None:
    source = "import sys\nfor n in range(200000): print(n); print(n, file=sys.stderr)"
    run = run_python(source, timeout_s=120, output_limit_bytes=100)
    assert run.verdict is Verdict.OK
    assert run.stdout.startswith("0\n1\n")
    assert run.stderr.endswith("199999\n")
    assert len(run.stdout) == len(run.stderr) == 100


def test_a_long_input_that_is_not_read_does_no_harm() -> None:
    assert run_python("print('done')", stdin="x" * (1 << 20), timeout_s=60).stdout == "done\n"
    run = run_python("import sys; print(len(sys.stdin.read()))", stdin="x" * (1 << 20), timeout_s=60)
    assert run.stdout == f"{1 << 20}\n"


def test_threads_may_run_scripts_side_by_side() -> None:
    files = len(list(Path("/proc/self/fd").iterdir()))
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda n: run_python(f"print({n})", timeout_s=60), range(8)))
    assert [run.stdout for run in runs] == [f"{n}\n" for n in range(8)]
    assert len(list(Path("/proc/self/fd").iterdir())) == files


NESTED = """
from tuneward.rewards.sandbox import run_python
runs = [
    run_python("print(input())", stdin="7", timeout_s=60),
    run_python("import os, time\\nif os.fork() == 0:\\n    os.setsid()\\n    time.sleep(600)", timeout_s=60),
    run_python("while True: pass", timeout_s=1),
    run_python("x = bytearray(1 << 30)", timeout_s=60),
]
import os
left = len([name for name in os.listdir("/proc") if name.isdigit()])
print([str(run.verdict) for run in runs], runs[0].stdout.strip(), left)
"""


def test_inside_a_sandbox_scripts_run_beside_the_caller(make_program_grader) -> None:
    grader = make_program_grader(memory_mb=512)
    score = grader.score(samples_of(NESTED))[0]
    assert score.reward == 1.0, score.receipt
    assert score.receipt.stdout_tail == "['ok', 'ok', 'timeout', 'oom'] 7 2\n"


def test_without_bubblewrap_a_script_is_refused_with_advice(monkeypatch) -> None:
    monkeypatch.setattr(probe, "sandbox_problem", lambda: "bwrap is not installed")
    with pytest.raises(GraderError, match=r"bwrap is not installed.*Install bubblewrap .*TUNEWARD_ALLOW_UNISOLATED=1"):
        run_python("pass")
    monkeypatch.setenv("TUNEWARD_ALLOW_UNISOLATED", "1")
    assert run_python("print(1)", timeout_s=60).stdout == "1\n"


def test_the_probe_finds_out_by_trying(monkeypatch, tmp_path) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert probe.sandbox_problem.__wrapped__() == "bwrap: No permissions to create new namespace"
    monkeypatch.setenv("PATH", "/nowhere")
    assert probe.sandbox_problem.__wrapped__() == "bwrap is not installed"


@pytest.mark.skipif(os.getuid() != 0 or not SYSTEM_PYTHON.exists(), reason="needs root and the system's Python")
def test_an_ordinary_user_has_a_sandbox_too() -> None:
    packages = [path for path in sys.path if path.endswith("site-packages")]
    code = """
import os
from tuneward.rewards.sandbox import run_python
fork = "import os\\nn = 0\\ntry:\\n    while n < 300 and os.fork(): n += 1\\nexcept OSError: print(n)"
secret = "import glob\\nprint(any(b'violet' in open(p, 'rb').read() for p in glob.glob('/proc/*/environ')))"
write = "import os\\ntry: os.mkdir('/planted')\\nexcept OSError as error: print(error.strerror)"
print(run_python(write, timeout_s=60).stdout.strip())
print(os.getuid(), run_python(fork, timeout_s=60).stdout.strip(), run_python(secret, timeout_s=60).stdout.strip())
"""
    done = subprocess.run(
        ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", str(SYSTEM_PYTHON), "-c", code],
        env={"PYTHONPATH": ":".join([str(Path(tuneward.__file__).parent.parent), *packages]), "SECRET": "violet"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "Permission denied" in done.stderr or "ModuleNotFoundError" in done.stderr:
        pytest.skip("an ordinary user cannot read this installation")
    assert re.fullmatch(r"Read-only file system\n12345 \d\d False\n", done.stdout), done
