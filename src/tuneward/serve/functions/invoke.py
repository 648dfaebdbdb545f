"""Invoke: calls are answered by started functions in their sandbox. Source: Bedrock RFT contract, 4.3."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Request, Response
from starlette.concurrency import run_in_threadpool
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from tuneward.errors import GraderError
from tuneward.rewards.functions import (
    FunctionBusyError,
    FunctionNotFoundError,
    FunctionRegistry,
    InvalidFunctionError,
    Invocation,
    WarmFunctions,
)
from tuneward.rewards.functions.local import unloadable
from tuneward.rewards.pool import UnloadableError
from tuneward.serve.aws_errors import AwsError
from tuneward.serve.deps import Developer, Use
from tuneward.serve.functions.configuration import FUNCTION
from tuneward.serve.functions.words import FunctionsRoute, Name, Qualifier, find, invalid_content

routes = APIRouter(route_class=FunctionsRoute)

PAYLOAD_LIMIT_BYTES = {"RequestResponse": 6_291_456, "DryRun": 6_291_456, "Event": 1_048_576}
"""AWS Lambda's limits."""

InvocationType = Annotated[Literal["RequestResponse", "Event", "DryRun"], Header(alias="X-Amz-Invocation-Type")]
LogType = Annotated[Literal["None", "Tail"], Header(alias="X-Amz-Log-Type")]

MAX_EVENTS = 1000
EVENT_PATIENCE_S = 3600.0
"""How long an asynchronous call waits for its turn."""

_log = logging.getLogger(__name__)
_background: set[asyncio.Task[None]] = set()
"""Calls that nobody waits for; the event loop itself holds tasks only weakly."""

PAYLOAD = {"requestBody": {"content": {"application/json": {"schema": {}}}, "required": False}}


@routes.post(FUNCTION + "/invocations", response_class=Response, openapi_extra=PAYLOAD)
async def invoke(
    name: Name,
    request: Request,
    services: Use,
    caller: Developer,
    qualifier: Qualifier = None,
    kind: InvocationType = "RequestResponse",
    log_type: LogType = "None",
) -> Response:
    """Invoke."""
    payload = await _payload(request, PAYLOAD_LIMIT_BYTES[kind])
    registry = await run_in_threadpool(services.functions, caller.project_id, caller.account_id)
    reference = str(find(registry, name, qualifier))
    if kind == "DryRun":
        await run_in_threadpool(registry.get, reference)
        return Response(status_code=204)
    if kind == "Event":
        if len(_background) >= MAX_EVENTS:
            raise FunctionBusyError(
                f"{MAX_EVENTS} asynchronous calls are waiting; try again.", reason="ConcurrentInvocationLimitExceeded"
            )
        await run_in_threadpool(registry.get, reference)
        task = asyncio.create_task(_in_background(services.warm_functions, registry, reference, payload))
        _background.add(task)
        task.add_done_callback(_background.discard)
        return Response(status_code=202)
    done = await _call(services.warm_functions, registry, reference, payload)
    headers = {"X-Amz-Executed-Version": done.version}
    if done.is_error:
        headers["X-Amz-Function-Error"] = "Unhandled"
    if log_type == "Tail":
        headers["X-Amz-Log-Result"] = base64.b64encode(done.log_tail.encode()).decode()
    return Response(done.payload, headers=headers, media_type="application/json")


async def _payload(request: Request, limit: int) -> bytes:
    """The event as JSON; nothing sent is `{}`. Raises AwsError."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > limit:
            raise AwsError(
                "RequestTooLargeException", 413, f"The payload has more than {limit} bytes.", extra={"Type": "User"}
            )
    if not data:
        return b"{}"
    try:
        json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise invalid_content(f"Could not parse request body into json: {reason}.") from None
    return bytes(data)


async def _call(warm: WarmFunctions, registry: FunctionRegistry, reference: str, payload: bytes) -> Invocation:
    """Have an event answered, without a thread that waits for the answer."""
    try:
        lent = await run_in_threadpool(warm.take, registry, reference)
    except UnloadableError as error:
        return await run_in_threadpool(unloadable, registry, reference, error)
    except (FunctionNotFoundError, FunctionBusyError, InvalidFunctionError):
        raise
    except GraderError as error:
        # Nothing that another try would change, so not one of the failures that clients repeat by themselves.
        raise AwsError("ResourceConflictException", 409, str(error), extra={"Type": "User"}) from None
    try:
        call = await asyncio.wrap_future(lent.function.submit(payload))
        return lent.function.answer(call)
    finally:
        await run_in_threadpool(lent.give_back)


async def _in_background(warm: WarmFunctions, registry: FunctionRegistry, reference: str, payload: bytes) -> None:
    """A call whose answer nobody waits for; the function's log has it."""
    try:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(FunctionBusyError),
            wait=wait_exponential(max=60),
            stop=stop_after_delay(EVENT_PATIENCE_S),
            reraise=True,
        ):
            with attempt:
                await _call(warm, registry, reference, payload)
    except (AwsError, GraderError) as error:
        _log.warning("an asynchronous call of function %s was not made: %s", reference, error)
