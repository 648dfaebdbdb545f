"""Asserts run in a sandbox, apart from the program they test, so that it cannot pretend to have passed.

In one process a program can do as it likes with the tests: end it with success, print what they would print, replace
`==`, read what is expected. Here it lives in a process of its own that gets calls and gives back plain data.
"""

from __future__ import annotations

import ast
import builtins
import json
import secrets
from pathlib import Path

from tuneward.rewards.sandbox import ProgramRun, run_python

START_S = 60.0
"""Most that a sandbox may take to start; it counts against no test, however busy the machine is."""

INSIDE = (Path(__file__).parent / "inside.py").read_text(encoding="utf-8")


def run_asserts(
    code: str, tests: list[str], *, setup: str = "", timeout_s: float, total_s: float, memory_mb: int
) -> list[bool]:
    """Whether each test passes; one that ends the program or hangs fails, and the others go on in a new sandbox.

    Args:
        code: the program, which is not trusted.
        tests: Python statements; names they do not define are the program's.
        setup: runs before each of them, on their side.
        timeout_s: wall-clock limit of one test.
        total_s: of all tests together; those that have not started by then fail.
        memory_mb: limit of one sandbox, MiB.

    Raises:
        ValueError: `setup` fails, whatever the program is.
        RuntimeError: the sandbox cannot run the tests at all.
    """
    left = total_s
    names = free_names([setup, *tests])
    results: list[bool] = []
    while len(results) < len(tests) and left > 0:
        # What the program prints never has the proof, which it cannot know.
        proof = secrets.token_hex(16)
        task = {"code": code, "setup": setup, "tests": tests[len(results) :], "names": names, "proof": proof}
        stdin = json.dumps({**task, "timeout_s": min(timeout_s, left)})
        run = run_python(INSIDE, stdin=stdin, timeout_s=START_S + left + timeout_s, memory_mb=memory_mb)
        found, took_s = _results(run, proof)
        results += found
        left -= timeout_s if took_s is None else took_s
    return results + [False] * (len(tests) - len(results))


def free_names(sources: list[str]) -> list[str]:
    """Names that sources use and do not define.

    Raises:
        SyntaxError, ValueError: a source is no Python.
    """
    used: set[str] = set()
    bound = set(dir(builtins))
    for node in (node for source in sources for node in ast.walk(ast.parse(source))):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                bound |= {(alias.asname or alias.name).partition(".")[0] for alias in aliases}
            case ast.ExceptHandler(name=str(name)):
                bound.add(name)
    return sorted(used - bound)


def _results(run: ProgramRun, proof: str) -> tuple[list[bool], float | None]:
    """Results of the tests that ran, at least one, and their seconds; a program that killed their process failed."""
    lines = [line.removeprefix(proof).strip() for line in run.stdout.splitlines() if line.startswith(proof)]
    if not lines:
        reason = (run.stderr.strip().splitlines() or [f"it ended with {run.exit_code}"])[-1]
        raise RuntimeError(f"the sandbox could not start the tests: {reason[:200]}")
    results, took_s = json.loads(lines[1]) if len(lines) > 1 else ([False], None)
    if isinstance(results, str):
        raise ValueError(results)
    return [bool(result) for result in results], took_s
