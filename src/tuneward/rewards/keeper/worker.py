"""What runs inside a reward process: load the user's file, answer batches, report what each one used.

Standard library alone; Linux only. The process reads events (JSON) and writes tagged frames: `L` a load report,
`S` the start of a call with the processor seconds used so far, `A` the outcome and the answer. Both pipes sit on
descriptors of their own, so nothing the user's code prints can be taken for an answer.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import inspect
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from .claims import FRAMES_LIMIT, NAMES_LIMIT, TEXT_LIMIT
from .frames import FRAME_LIMIT_BYTES, LENGTH, read_frame, write_frame

IMPORT_SPACE_BYTES = 8 << 30
"""Address space while the file is loaded: shared libraries map far more than they use."""

Setup = dict[str, Any]
"""`path`, `folder`, `work`, `source`, `handler`, `memory_bytes`, `timeout_s`, `import_timeout_s`, `environment`,
`context`; made by `Program`. For a sandbox also `sandbox` and `import_paths`; see `sandbox.launch`."""


class Context:
    """The documented attributes of an AWS Lambda context object."""

    def __init__(self, setup: Setup, deadline: float) -> None:
        given: dict[str, str] = setup["context"]
        self.function_name = name = given.get("function_name", Path(setup["path"]).stem)
        self.function_version = version = given.get("function_version", "$LATEST")
        arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
        self.invoked_function_arn = given.get("invoked_function_arn", arn)
        self.memory_limit_in_mb = given.get("memory_limit_in_mb", str(setup["memory_bytes"] >> 20))
        raw = os.urandom(16).hex()
        self.aws_request_id = f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"
        self.log_group_name = given.get("log_group_name", f"/aws/lambda/{name}")
        stream = f"{time.strftime('%Y/%m/%d')}/[{version}]{os.getpid()}"
        self.log_stream_name = given.get("log_stream_name", stream)
        self.identity = None
        self.client_context = None
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until this call is stopped; 0 when the time is up."""
        return max(0, round((self._deadline - time.monotonic()) * 1000))


def serve_inside(requests: int, answers: int) -> NoReturn:
    """`serve` in a sandbox, where this interpreter starts anew; the first frame is the setup."""
    setup: Setup = json.loads(read_frame(requests))
    sys.path += [path for path in setup["import_paths"] if path not in sys.path]
    serve(setup, requests, answers, is_final=True)


def serve(setup: Setup, requests: int, answers: int, is_final: bool = False) -> NoReturn:
    """Load the file, then answer events from `requests` on `answers` until the pipe ends or memory runs out.

    Args:
        is_final: the program cannot raise its memory limit.
    """
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    # By lines, so that what was printed before a hang is in the tail.
    sys.stdout = open(1, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    _limit_address_space(IMPORT_SPACE_BYTES, is_final)
    handler, report = _load(setup)
    write_frame(answers, b"L", json.dumps(report).encode())
    if handler is None:
        os._exit(0)
    # Counted from here: what loading took is the file's own cost, `memory_bytes` is what calls may add to it.
    _limit_address_space(setup["memory_bytes"], is_final)
    while True:
        try:
            payload = read_frame(requests)
        except EOFError:
            os._exit(0)
        outcome, answer = _call(handler, payload, setup, answers)
        header = json.dumps(outcome).encode()
        write_frame(answers, b"A", LENGTH.pack(len(header)), header, answer)
        if outcome["kind"] == "oom":
            os._exit(0)


def _load(setup: Setup) -> tuple[Callable[[Any, Any], Any] | None, dict[str, Any]]:
    """The handler, or None with a report of what is wrong: kinds `raised`, `missing`, `unfit`."""
    path: str = setup["path"]
    folder: str = setup["folder"]
    # The folder is where siblings are imported from and, mostly, where relative paths start, as in AWS Lambda.
    sys.path.insert(0, folder)
    os.chdir(setup["work"])
    sys.argv = [path]
    os.environ.update(setup["environment"])
    time.tzset()
    # Dotted for a file further down, so that its relative imports work.
    name = ".".join(Path(path).relative_to(folder).with_suffix("").parts)
    if name in sys.stdlib_module_names:
        name = f"reward_{name}"
    spec = importlib.machinery.ModuleSpec(name, importlib.machinery.SourceFileLoader(name, path), origin=path)
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    owner = os.getpid()
    try:
        # From the bytes that were hashed, not from the disk: a file edited in mid-run must not change the grader.
        exec(compile(setup["source"].encode("latin-1"), path, "exec"), module.__dict__)
    except BaseException as error:
        _leave_forked_copy(owner)
        return None, {"kind": "raised", **_describe(error, path)}
    _leave_forked_copy(owner)
    handler = getattr(module, setup["handler"], None)
    if handler is None:
        functions = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        return None, {"kind": "missing", "functions": functions[:NAMES_LIMIT]}
    if not callable(handler):
        return None, {"kind": "unfit", "reason": f"is a {type(handler).__name__}, not a function"}
    if inspect.iscoroutinefunction(handler):
        return None, {"kind": "unfit", "reason": "is an async function; it must be a plain one"}
    try:
        inspect.signature(handler).bind(None, None)
    except TypeError:
        return None, {"kind": "unfit", "reason": f"takes {inspect.signature(handler)}"}
    except ValueError:
        pass  # Some callables written in C have no signature; calling them will tell.
    return handler, {"kind": "ok"}


def _call(
    handler: Callable[[Any, Any], Any], payload: bytes, setup: Setup, answers: int
) -> tuple[dict[str, Any], bytes]:
    """Outcome of one call with its usage, and the answer as JSON; never raises for the handler's sake."""
    owner = os.getpid()
    _reset_peak_memory()
    cpu_before = _cpu_s()
    write_frame(answers, b"S", json.dumps(cpu_before).encode())
    start = time.monotonic()
    context = Context(setup, start + setup["timeout_s"])
    request_id = context.aws_request_id
    outcome: dict[str, Any] = {"kind": "answer"}
    encoded = b""
    try:
        try:
            answer = handler(json.loads(payload), context)
        finally:
            # A forgotten signal.alarm would otherwise end the process between two calls.
            signal.setitimer(signal.ITIMER_REAL, 0)
        _leave_forked_copy(owner)
        try:
            encoded = json.dumps(answer).encode()
        except (TypeError, ValueError, RecursionError) as error:
            outcome = {"kind": "unserialisable", **_describe(error, setup["path"])}
        if len(encoded) > FRAME_LIMIT_BYTES - (1 << 20):
            outcome, encoded = {"kind": "too_large", "bytes": len(encoded)}, b""
    except MemoryError:
        encoded = b""
        _leave_forked_copy(owner)
        outcome = {"kind": "oom"}
    except BaseException as error:
        _leave_forked_copy(owner)
        outcome = {"kind": "raised", **_describe(error, setup["path"])}
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            continue  # The user's code may have closed or replaced it; the answer counts all the same.
    outcome["request_id"] = request_id
    outcome["wall_s"] = time.monotonic() - start
    outcome["cpu_s"] = max(0.0, _cpu_s() - cpu_before)
    outcome["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return outcome, encoded


def _leave_forked_copy(owner: int) -> None:
    """A child forked by the user's code that comes back here must not answer in its parent's name."""
    if os.getpid() != owner:
        os._exit(0)


def _describe(error: BaseException, path: str) -> dict[str, Any]:
    """Type, text, the line of `path` nearest to the error, and the frames; the traceback goes to standard error."""
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == path else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        said = error.msg if line is not None and isinstance(error, SyntaxError) else str(error)
        text = " ".join(said.split())[:TEXT_LIMIT]
        traceback.print_exception(error)
    except Exception:
        text = "(no readable message)"
    return {"type": type(error).__name__, "text": text, "line": line, "frames": _frames(error)}


def _frames(error: BaseException) -> list[str]:
    """The user's part of the traceback, outermost call first, as Python prints it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    try:
        return [text[:TEXT_LIMIT] for text in traceback.format_list(frames[-FRAMES_LIMIT:])]
    except Exception:
        return []


def _limit_address_space(extra_bytes: int, is_final: bool) -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = mapped + extra_bytes if hard < 0 else min(mapped + extra_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit if is_final else hard))


def _reset_peak_memory() -> None:
    """Start the peak of this call at the present size; without the kernel's help it is the process's own peak."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _cpu_s() -> float:
    """User and system time of this process and its ended children, seconds."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)
