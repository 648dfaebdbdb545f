"""A registered function running on this machine: cold start once, then warm, and more processes as calls overlap."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Literal

from tuneward.rewards.functions.configuration import FunctionConfiguration
from tuneward.rewards.functions.log import ERROR_TYPES, TASK_ROOT, call_report, tail, without_folders
from tuneward.rewards.functions.registry import FunctionRegistry
from tuneward.rewards.functions.store import CodeFolder
from tuneward.rewards.pool import ProcessPool, UnloadableError
from tuneward.rewards.process import Call
from tuneward.rewards.program import Program
from tuneward.types import Json, Verdict

LOAD_ERROR_TYPES = {
    "raised": "Runtime.ImportModuleError",
    "missing": "Runtime.HandlerNotFound",
    "unfit": "Runtime.HandlerNotFound",
    "timeout": "Sandbox.Timedout",
    "oom": "Runtime.OutOfMemory",
}
"""The same for code that does not load, by kind of the load report."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """How one call ended, as `Invoke` of AWS Lambda answers it."""

    payload: bytes
    """JSON: the answer, or an object with `errorType` and `errorMessage`."""
    is_error: bool
    """The function failed: `FunctionError` is `Unhandled`."""
    version: str
    request_id: str
    log_tail: str
    """The last 4 KB of the call's log."""


class LocalFunction:
    """One version of a function, ready to answer events; a `Caller` of `event_grader.py`. Every call is logged.

    Args:
        reference: `NAME`, `NAME:QUALIFIER` or ARN; an alias is followed once, here.
        workers: processes at the same time, at most; the first is started here, others when calls overlap.
        timeout_s: limit of a call below the function's own; None: its own.
        memory_mb: limit of a process below the function's own; None: its own.

    Raises:
        FunctionNotFoundError: no such function, version or alias.
        GraderError: the code does not load, has no such handler, or cannot be isolated on this machine.
    """

    def __init__(
        self,
        registry: FunctionRegistry,
        reference: str,
        *,
        workers: int | None = None,
        timeout_s: float | None = None,
        memory_mb: int | None = None,
        isolation: Literal["process", "sandbox"] | None = None,
    ) -> None:
        self.configuration, self._code = registry.open_code(reference)
        self._log = registry.log(self.configuration.name)
        try:
            program = _program(self.configuration, self._code, timeout_s, memory_mb, isolation or "sandbox")
            self._pool = ProcessPool(program, workers or os.cpu_count() or 1, is_lazy=True)
        except BaseException:
            self._code.close()
            raise

    @property
    def name(self) -> str:
        """Name, version and the first 8 characters of the archive's hash, e.g. `maths:3@q83vEjRW`."""
        return f"{self.source}@{self.configuration.code_sha256[:8]}"

    @property
    def source(self) -> str:
        return f"{self.configuration.name}:{self.configuration.version}"

    @property
    def limits(self) -> dict[str, float]:
        return self._pool.limits

    @property
    def isolation(self) -> str:
        return self._pool.isolation

    def submit(self, event: bytes) -> Future[Call]:
        """Have one event (JSON) answered and logged; the future never fails."""
        future: Future[Call] = Future()

        def finish(done: Future[Call]) -> None:
            try:
                call = _identified(done.result())
                # A full disk is no reason to lose an answer.
                with contextlib.suppress(OSError):
                    self._log.append(self._report(call))
            except BaseException as error:
                future.set_exception(error)  # Whoever waits must not wait for ever.
            else:
                future.set_result(call)

        self._pool.submit(event).add_done_callback(finish)
        return future

    def invoke(self, payload: bytes) -> Invocation:
        """Answer one event of any form, as `Invoke` with `RequestResponse` and `LogType: Tail` does."""
        return self.answer(self.submit(payload).result())

    def answer(self, call: Call) -> Invocation:
        """A call of `submit` as `Invoke` answers it."""
        request_id: str = call.detail["request_id"]
        is_error = call.kind != "answer"
        answer = json.dumps(self._error(call, request_id)).encode() if is_error else call.answer
        log_tail = tail(self._report(call))
        return Invocation(answer, is_error, self.configuration.version, request_id, log_tail)

    def explain(self, call: Call, samples: int) -> tuple[Verdict, str]:
        """Verdict and sentence for a call without an answer."""
        return self._pool.explain(call, samples)

    def close(self) -> None:
        """End its processes; calls under way end as failed. Safe to call twice."""
        self._pool.close()
        self._code.close()

    def _report(self, call: Call) -> str:
        return call_report(call, call.detail["request_id"], self.configuration.version, self.configuration.memory_mb)

    def _error(self, call: Call, request_id: str) -> dict[str, Json]:
        if call.kind == "raised":
            return {
                "errorMessage": call.detail["text"],
                "errorType": call.detail["type"],
                "requestId": request_id,
                "stackTrace": [frame.replace(str(self._code.path), TASK_ROOT) for frame in call.detail["frames"]],
            }
        message = f"{request_id} Task timed out after {self.limits['timeout_s']:.2f} seconds"
        if call.kind != "timeout":
            message = f"RequestId: {request_id} Error: {self.explain(call, 1)[1]}"
        return {"errorMessage": message, "errorType": ERROR_TYPES.get(call.kind, "Runtime.ExitError")}


def unloadable(registry: FunctionRegistry, reference: str, error: UnloadableError) -> Invocation:
    """A call of a function whose code does not load; it is logged like any other."""
    configuration = registry.get(reference)
    request_id = str(uuid.uuid4())
    kind = LOAD_ERROR_TYPES.get(error.kind, "Runtime.ExitError")
    text = without_folders(str(error))
    call = Call("unloadable", stderr_tail=f"[ERROR] {kind}: {text}")
    report = call_report(call, request_id, configuration.version, configuration.memory_mb)
    with contextlib.suppress(OSError):
        registry.log(configuration.name).append(report)
    payload = json.dumps({"errorMessage": text, "errorType": kind, "requestId": request_id, "stackTrace": []})
    return Invocation(payload.encode(), True, configuration.version, request_id, tail(report))


def _identified(call: Call) -> Call:
    """With the request id of the function's context; a call that ended before it could tell gets one here."""
    try:
        request_id = uuid.UUID(call.detail.get("request_id"))
    except (TypeError, ValueError, AttributeError):
        request_id = uuid.uuid4()
    return replace(call, detail={**call.detail, "request_id": str(request_id)})


def _program(
    configuration: FunctionConfiguration,
    code: CodeFolder,
    timeout_s: float | None,
    memory_mb: int | None,
    isolation: Literal["process", "sandbox"],
) -> Program:
    name = configuration.name
    path = code.path / configuration.module_path
    own_timeout, own_memory = float(configuration.timeout_s), configuration.memory_mb
    is_timeout_lowered = timeout_s is not None and timeout_s < own_timeout
    is_memory_lowered = memory_mb is not None and memory_mb < own_memory
    log_group = f"/aws/lambda/{name}"
    return Program(
        path=path,
        source=path.read_bytes(),
        handler=configuration.function,
        folder=code.path,
        timeout_s=timeout_s if timeout_s is not None and is_timeout_lowered else own_timeout,
        memory_mb=memory_mb if memory_mb is not None and is_memory_lowered else own_memory,
        isolation=isolation,
        environment={
            **configuration.environment,
            "_HANDLER": configuration.handler,
            "AWS_DEFAULT_REGION": configuration.region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration.runtime}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(own_memory),
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": configuration.version,
            "AWS_LAMBDA_LOG_GROUP_NAME": log_group,
            "AWS_REGION": configuration.region,
            "LAMBDA_TASK_ROOT": str(code.path),
        },
        context={
            "function_name": name,
            "function_version": configuration.version,
            "invoked_function_arn": configuration.qualified_arn,
            "memory_limit_in_mb": str(own_memory),
            "log_group_name": log_group,
        },
        timeout_setting="reward.timeout_s" if is_timeout_lowered else f"the timeout of function {name}",
        memory_setting="reward.memory_mb" if is_memory_lowered else f"the memory of function {name}",
    )
