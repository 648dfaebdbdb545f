"""`python` graders: `grade(sample, item)` in processes of its own. Source: OpenAI grader contract, 5.7."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tuneward.config import GraderConfig
from tuneward.errors import GraderError
from tuneward.rewards.event_grader import EVENT_LIMIT_BYTES
from tuneward.rewards.openai.case import Case
from tuneward.rewards.openai.outcome import FaultError, Outcome, Wait, faulty
from tuneward.rewards.openai.spec import PythonGrader
from tuneward.rewards.pool import ProcessPool
from tuneward.rewards.process import Call
from tuneward.rewards.program import Program
from tuneward.rewards.sandbox.probe import place_for
from tuneward.types import Verdict

TIMEOUT_S = 120.0
MEMORY_MB = 2048
"""Limits of the contract, unless the configuration gives its own."""

FILE = re.compile(r'File "[^"]*/grader\.py"')
"""The source as tracebacks name it, in a folder that means nothing to its author."""

PASSING = ("lost", "garbled", "unloadable")
"""Calls that ended for reasons beside the grader's code; worth another try, and a fault of the server."""

HANDLER = "_tuneward_grade"
EPILOGUE = """

def _tuneward_grade(event, context):
    import builtins, decimal, numbers, traceback
    try:
        value = grade(event["sample"], event["item"])
    except builtins.MemoryError:
        raise
    except builtins.BaseException as error:
        trace, line = error.__traceback__.tb_next, None
        frame = trace
        while frame is not None:
            if frame.tb_frame.f_code.co_filename == _tuneward_grade.__code__.co_filename:
                line = frame.tb_lineno
            frame = frame.tb_next
        try:
            text = builtins.str(error)
        except builtins.Exception:
            text = ""
        written = "".join(traceback.format_exception(builtins.type(error), error, trace))
        return {"raised": builtins.type(error).__name__, "text": text[:400], "line": line, "trace": written[-4000:]}
    try:
        if builtins.isinstance(value, (numbers.Real, decimal.Decimal)):
            reward = builtins.float(value)
            if reward - reward == 0:
                return {"reward": reward}
        shown = builtins.repr(value)[:100]
    except builtins.Exception:
        shown = "unreadable"
    return {"returned": builtins.type(value).__name__, "shown": shown}
"""
"""Stands behind the user's source, so that line numbers are theirs; uses no name that they may have given away."""


class PythonLoadError(GraderError):
    """The source of a `python` grader does not load."""


class PythonEvaluator:
    """Calls `grade` with one answer at a time, many at once over `config.workers` processes.

    Args:
        spec: the grader.
        config: isolation, processes, retries; time and memory where it gives them.

    Raises:
        PythonLoadError: the source does not load, for example for a module that is missing.
        GraderError: it wants a sandbox, and there is none here.
    """

    def __init__(self, spec: PythonGrader, config: GraderConfig) -> None:
        isolation = config.isolation or "sandbox"
        if isolation == "sandbox":
            place_for(spec.name)  # A machine without a sandbox is not the source's fault: no PythonLoadError.
        self._name = spec.name
        self._retries = config.retries
        self._timeout_s = config.timeout_s if "timeout_s" in config.model_fields_set else TIMEOUT_S
        self._memory_mb = config.memory_mb if "memory_mb" in config.model_fields_set else MEMORY_MB
        self._folder = tempfile.TemporaryDirectory(prefix="tuneward-grader-")
        file = Path(self._folder.name) / "grader.py"
        source = spec.source.encode(errors="replace")
        file.write_bytes(source)  # Tracebacks quote it.
        program = Program(
            path=file,
            source=source + EPILOGUE.encode(),
            handler=HANDLER,
            timeout_s=self._timeout_s,
            memory_mb=self._memory_mb,
            isolation=isolation,
        )
        try:
            self._pool = ProcessPool(program, config.workers)
        except GraderError as error:
            self._folder.cleanup()
            raise PythonLoadError(str(error).replace(str(file), f"{spec.name}: source")) from None
        except BaseException:
            self._folder.cleanup()
            raise

    @property
    def isolation(self) -> str:
        return self._pool.isolation

    @property
    def limits(self) -> Mapping[str, float]:
        return self._pool.limits

    def start(self, case: Case) -> Wait:
        try:
            event = json.dumps({"sample": case.sample, "item": case.item}).encode()
            problem = "" if len(event) <= EVENT_LIMIT_BYTES else f"they take {len(event) >> 20} MiB"
        except (TypeError, ValueError, RecursionError) as error:
            problem = str(error)
        if problem:
            unsent = faulty(FaultError("other_error", f"The row and the answer cannot be sent as JSON: {problem}."))
            return lambda: unsent
        future = self._pool.submit(event)

        def wait() -> Outcome:
            call, attempts = future.result(), 1
            while call.kind in PASSING and attempts <= self._retries:
                call, attempts = self._pool.submit(event).result(), attempts + 1
            return replace(self._outcome(call), attempts=attempts, wall_s=call.wall_s, call=call)

        return wait

    def close(self) -> None:
        self._pool.close()
        self._folder.cleanup()

    def _outcome(self, call: Call) -> Outcome:
        try:
            return Outcome(self._reward(call))
        except FaultError as fault:
            return faulty(fault)

    def _reward(self, call: Call) -> float:
        if call.kind == "answer":
            answer = json.loads(call.answer)
            if "reward" in answer:
                return float(answer["reward"])
            if "raised" in answer:
                line = f"line {answer['line']}: " if answer["line"] else ""
                text = " ".join(answer["text"].split()).rstrip(".")
                error = f"{answer['raised']}: {text}" if text else answer["raised"]
                message = f"{self._name}: {line}grade raised {error}."
                raise self._runtime(message, Verdict.ERROR, FILE.sub('File "grader.py"', answer["trace"]))
            message = (
                f"{self._name}: grade returned {answer['shown']} ({answer['returned']}); expected a finite number."
            )
            raise self._runtime(message, Verdict.INVALID)
        if call.kind == "timeout":
            advice = "Make it faster, or raise reward.timeout_s."
            message = f"{self._name}: grade took longer than {self._timeout_s:g} s. {advice}"
            raise self._runtime(message, Verdict.TIMEOUT)
        if call.kind == "oom":
            advice = "Use less, or raise reward.memory_mb."
            message = f"{self._name}: grade needed more than {self._memory_mb} MiB. {advice}"
            raise self._runtime(message, Verdict.OOM)
        verdict, message = self._pool.explain(call, 1)
        message = message.replace(self._pool.source, f"{self._name}: grade")
        if call.kind in ("died", "raised"):
            raise self._runtime(message, verdict)
        details = {"python_grader_server_error_type": call.kind}
        raise FaultError("python_grader_server_error", message, verdict=verdict, details=details)

    def _runtime(self, message: str, verdict: Verdict, trace: str = "") -> FaultError:
        details = {"python_grader_runtime_error_details": f"{message}\n{trace}" if trace else message}
        return FaultError("python_grader_runtime_error", message, verdict=verdict, details=details)
