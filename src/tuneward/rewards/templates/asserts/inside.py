"""Runs asserts in one process and the program that they test in another; started in a sandbox, standard library alone.

Standard input holds the task (JSON: `code`, `setup`, `tests`, `names` that are the program's, `proof`,
`timeout_s` of one test). Standard output gets lines that begin with the proof: `started`, then a list of results
and the seconds they took. There are fewer results than tests when one of them ended the program or hung.
"""

import builtins
import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

LINE_LIMIT_BYTES = 20_000_000
PR_SET_DUMPABLE = 4
MAKERS: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "iter": iter}


class Gone(BaseException):
    """The program ended, or does not answer in time."""


class Remote:
    """Something of the program's, known by its name or number."""

    def __init__(self, program: "Program", index: str | int) -> None:
        object.__setattr__(self, "_of", (program, index))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        program, index = self._of
        return program.ask("call", index, encode(args), encode(kwargs))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        program, index = self._of
        return program.ask("get", index, name)

    def __setattr__(self, name: str, value: Any) -> None:
        program, index = self._of
        program.ask("set", index, name, encode(value))


class Program:
    """The other process, seen from the tests' side."""

    def __init__(self, pid: int, requests: int, answers: int) -> None:
        self.until = 0.0
        self.asked = 0
        self._pid, self._requests, self._answers = pid, requests, answers
        self._rest = b""

    def ask(self, *request: Any) -> Any:
        """The program's answer; raises what it raised, if that is a built-in exception."""
        self.asked += 1
        try:
            _write(self._requests, request)
        except OSError:
            raise Gone from None
        answer = json.loads(self._line())
        if "raised" in answer:
            kind = getattr(builtins, str(answer["raised"]), None)
            if isinstance(kind, type) and issubclass(kind, Exception):
                raise kind(answer["text"])
            raise Exception(answer["text"])
        return decode(answer["value"], lambda index: Remote(self, index))

    def end(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            left = self.until - time.monotonic()
            if left <= 0 or len(self._rest) > LINE_LIMIT_BYTES or not select.select([self._answers], [], [], left)[0]:
                raise Gone
            piece = os.read(self._answers, 1 << 16)
            if not piece:
                raise Gone
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def encode(value: Any, kept: list[Any] | None = None) -> Any:
    """Plain data as JSON with tags; the program's side keeps other objects and names them by number."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.decode("latin-1")}
    if isinstance(value, type) and value in vars(builtins).values():
        return {"type": value.__name__}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, dict):
        return {"dict": [[encode(key, kept), encode(item, kept)] for key, item in value.items()]}
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return {kind.__name__: [encode(item, kept) for item in value]}
    if type(value) is Remote:
        return {"object": value._of[1]}
    if kept is None:
        raise TypeError(f"a {type(value).__name__} cannot be handed to the program, only plain data")
    if hasattr(value, "__next__") or isinstance(value, range):
        return {"iter": [encode(item, kept) for item in value]}
    kept.append(value)
    return {"object": len(kept) - 1}


def decode(value: Any, find: Any) -> Any:
    """The data that `encode` made JSON of; `find` knows the objects."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "object":
        return find(content)
    if kind == "bytes":
        return content.encode("latin-1")
    if kind == "complex":
        return complex(*content)
    if kind == "type":
        return next(one for one in vars(builtins).values() if isinstance(one, type) and one.__name__ == content)
    if kind == "dict":
        return {decode(key, find): decode(item, find) for key, item in content}
    return MAKERS[kind]([decode(item, find) for item in content])


def _write(descriptor: int, value: Any) -> None:
    data = json.dumps(value).encode() + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]


def serve(requests: int, answers: int) -> None:
    """Body of the process that holds the program; it knows neither the tests nor the proof."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    names: dict[str, Any] = {"__name__": "program"}
    kept: list[Any] = []

    def find(index: str | int) -> Any:
        return names[index] if isinstance(index, str) else kept[index]

    with os.fdopen(requests) as lines:
        for line in lines:
            action, target, *rest = json.loads(line)
            value = None
            try:
                if action == "load":
                    exec(compile(target, "program.py", "exec"), names)
                elif action == "get":
                    value = getattr(find(target), rest[0])
                elif action == "set":
                    setattr(find(target), rest[0], decode(rest[1], find))
                else:
                    value = find(target)(*decode(rest[0], find), **decode(rest[1], find))
                answer = {"value": encode(value, kept)}
            except BaseException as error:
                answer = {"raised": type(error).__name__, "text": str(error)[:200]}
            _write(answers, answer)


def start() -> Program:
    """Fork the program's process while there is nothing to be known, and close this one to it."""
    requests, to_program = os.pipe()
    from_program, answers = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(to_program)
            os.close(from_program)
            serve(requests, answers)
        finally:
            os._exit(0)
    os.close(requests)
    os.close(answers)
    if ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        sys.exit("the memory of the tests cannot be closed to the program")
    return Program(pid, to_program, from_program)


def run(task: dict[str, Any], program: Program) -> list[bool] | str:
    """Results of the tests, up to the first that ended the program; or what is wrong with the row's setup."""
    tests, limit_s = task["tests"], task["timeout_s"]
    program.until = time.monotonic() + limit_s
    try:
        program.ask("load", task["code"])
    except BaseException:
        return [False] * len(tests)
    space: dict[str, Any] = {"__name__": "tests", **{name: Remote(program, name) for name in task["names"]}}
    asked = program.asked
    try:
        exec(compile(task["setup"], "setup.py", "exec"), space)
    except BaseException as error:
        return f"{type(error).__name__}: {error}" if program.asked == asked else [False] * len(tests)
    results: list[bool] = []
    for test in tests:
        program.until = time.monotonic() + limit_s
        try:
            exec(compile(test, "test.py", "exec"), dict(space))
            results.append(True)
        except Gone:
            return [*results, False]
        except BaseException:
            results.append(False)
    return results


def main() -> NoReturn:
    sys.set_int_max_str_digits(0)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    program = start()
    # What the program could write must not be imported by the tests.
    sys.path = [path for path in sys.path if path and not os.access(path, os.W_OK)]
    task = json.load(sys.stdin)
    print(task["proof"], "started", flush=True)
    began = time.monotonic()
    results = run(task, program)
    program.end()
    print(task["proof"], json.dumps([results, time.monotonic() - began]), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
