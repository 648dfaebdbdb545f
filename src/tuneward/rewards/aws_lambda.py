"""Caller of a function on AWS Lambda, through boto3.

Credentials and the address of the service are found as boto3 finds them (`AWS_PROFILE`, `AWS_ENDPOINT_URL_LAMBDA`, …);
the region is that of the ARN. Source: Bedrock RFT contract, 1.8 (retries) and 4.3 (invocation).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from tuneward.errors import GraderError
from tuneward.rewards.functions.reference import FunctionReference
from tuneward.rewards.process import Call
from tuneward.rewards.remote import FIRST_WAIT_S, NoAnswer, RemoteCaller, failed

LAMBDA_CONCURRENCY = 12
"""Calls at the same time when the configuration says nothing, as in SageMaker's training jobs (contract 4.3)."""

CONNECT_TIMEOUT_S = 10.0
SOCKET_GRACE_S = 5.0
"""The socket's limit beyond that of the call, so that a thread nobody waits for ends soon."""

REPEATED_CODES = frozenset({
    "TooManyRequestsException", "ThrottlingException", "Throttling", "RequestLimitExceeded", "ServiceException",
    "ResourceConflictException", "ResourceNotReadyException", "EC2ThrottledException", "ENILimitReachedException",
})  # fmt: skip
"""Error codes of calls that were not started for want of capacity, or because the function is being updated."""

ADVICE = {
    "AccessDeniedException": "Allow lambda:InvokeFunction on it to these credentials",
    "ResourceNotFoundException": "Correct reward.function, region and qualifier included",
    "UnrecognizedClientException": "Correct the AWS credentials",
    "ExpiredTokenException": "Renew the AWS credentials",
}

T = TypeVar("T")


class LambdaCaller(RemoteCaller):
    """A `Caller` of `event_grader.py` that calls `Invoke` and waits for the answer.

    The constructor asks for a dry run, so that a wrong name or a missing permission is known before any work is done.

    Args:
        reference: a function with an ARN.
        timeout_s: wall-clock limit of one call; the function's own limit on AWS holds besides.
        concurrency: calls at the same time.
        first_wait_s: see `RemoteCaller`.

    Raises:
        GraderError: credentials are missing, or the function does not exist, may not be called or cannot be reached.
    """

    def __init__(
        self, reference: FunctionReference, *, timeout_s: float, concurrency: int, first_wait_s: float = FIRST_WAIT_S
    ) -> None:
        assert reference.arn is not None
        self._arn = reference.arn
        self._client = _client(reference, timeout_s, concurrency)
        super().__init__(
            self._arn, str(reference), timeout_s=timeout_s, concurrency=concurrency, first_wait_s=first_wait_s
        )
        probe = self._begin(self._probe).result()
        if probe.kind != "answer":
            self.close()
            advice = f" {probe.detail['advice']}." if probe.detail["advice"] else ""
            raise GraderError(f"{self._arn}: {probe.detail['text']}.{advice}")

    async def _probe(self) -> Call:
        async def attempt() -> Call:
            return await self._invoke(InvocationType="DryRun")

        try:
            return await self._repeated(attempt)
        except NoAnswer as error:
            return failed(error.kind, f"{error} (tried {error.tries} times)")

    async def _send(self, event: bytes) -> Call:
        return await self._invoke(InvocationType="RequestResponse", LogType="Tail", Payload=event)

    async def _invoke(self, **arguments: str | bytes) -> Call:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        def invoke() -> Call:
            response = self._client.invoke(FunctionName=self._arn, **arguments)
            return _read(response, response["Payload"].read())

        try:
            return await _in_thread(invoke)
        except ClientError as error:
            return _refused(error.response)
        except HTTPClientError as error:
            raise NoAnswer(f"no connection to AWS Lambda ({_reason(error)})") from None
        except BotoCoreError as error:
            return failed("unreachable", f"AWS Lambda cannot be called ({_reason(error)})", "Set up AWS credentials")

    async def _release(self) -> None:
        self._client.close()


def _client(reference: FunctionReference, timeout_s: float, concurrency: int) -> Any:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=timeout_s + SOCKET_GRACE_S,
        retries={"total_max_attempts": 1},  # `RemoteCaller` repeats, within its own limits.
        max_pool_connections=concurrency,
    )
    try:
        return boto3.session.Session().client("lambda", region_name=reference.region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise GraderError(f"{reference.arn}: AWS Lambda cannot be called ({_reason(error)}).") from None


def _read(response: dict[str, Any], payload: bytes) -> Call:
    """The call as `Invoke` answered it."""
    log = base64.b64decode(response.get("LogResult", "")).decode(errors="replace")
    used = re.search(r"Max Memory Used: (\d+) MB", log)
    peak_memory_bytes = int(used[1]) << 20 if used else 0
    if "FunctionError" not in response:
        return Call("answer", payload, stdout_tail=log, peak_memory_bytes=peak_memory_bytes)
    kind, text, advice = _function_error(payload)
    detail = {"text": text, "advice": advice}
    return Call(kind, detail=detail, stderr_tail=log, peak_memory_bytes=peak_memory_bytes)


def _function_error(payload: bytes) -> tuple[str, str, str]:
    """Kind, sentence and advice from the payload of a call whose function failed."""
    try:
        error = json.loads(payload)
        name, message = str(error.get("errorType", "Error")), " ".join(str(error.get("errorMessage", "")).split())
    except (ValueError, AttributeError, RecursionError):
        name, message = "Error", " ".join(payload[:300].decode(errors="replace").split())
    message = message[:300].rstrip(".")
    text = f"the function failed with {name}: {message}"
    if "Task timed out after" in message:
        return "timeout", text, "Make it faster, raise its timeout on AWS, or lower reward.batch_size"
    if name == "Runtime.OutOfMemory" or "signal: killed" in message:
        return "oom", text, "Use less, raise its memory on AWS, or lower reward.batch_size"
    return "raised", text, ""


def _refused(response: dict[str, Any]) -> Call:
    """A call that AWS did not make. Raises NoAnswer when it may make it a little later."""
    code, message = response["Error"].get("Code", ""), response["Error"].get("Message", "").rstrip(".")
    status = response["ResponseMetadata"].get("HTTPStatusCode", 0)
    text = f"AWS answered {code} ({message})" if message else f"AWS answered {code}"
    if code in REPEATED_CODES or status == 429 or status >= 500:
        after = response["ResponseMetadata"].get("HTTPHeaders", {}).get("retry-after", "")
        raise NoAnswer(text, retry_after_s=float(after) if after.isdigit() else 0.0)
    kind = "too_large" if status == 413 else "unreachable"
    return failed(kind, text, ADVICE.get(code, ""))


async def _in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread of its own that nobody has to wait for when the program ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(cast(T, result))

    def run() -> None:
        result, problem = None, None
        try:
            result = work()
        except BaseException as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # The loop has ended meanwhile.
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=run, name="reward call", daemon=True).start()
    return await done


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
