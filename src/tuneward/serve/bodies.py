"""How large a body may be and how slowly it may come. Bytes are counted as they come; a header is not believed."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from typing import NoReturn

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuneward.config import LimitsConfig
from tuneward.serve.errors import ApiError, dialect_of

FORM_BYTES = 2**20
"""What a form adds to the file in it."""
PART_BYTES = 64 * 2**20
"""Largest part of an upload. Source: OpenAI RFT contract, 2.2."""
FUNCTION_BYTES = 70_000_000
"""An archive of 50 MB in base64, as AWS Lambda takes it."""
PATIENCE_S = 30.0
"""A body may keep a request waiting so long, and longer as it grows."""
LEAST_BYTES_PER_S = 10_000
DRAIN_S = 20.0
"""What is sent of a body after it was refused is read for so long: most clients read no answer before they have sent
everything, and one that is hung up on meanwhile sees a broken connection instead, and tries again."""
DRAIN_BYTES = 2**30

_PART = re.compile(r"/v1/uploads/[^/]+/parts/?")
_FUNCTION = re.compile(r"/2015-03-31/functions(/[^/]+/code)?/?")


def most_bytes(path: str, limits: LimitsConfig) -> int:
    """Largest body on a path."""
    if path.rstrip("/") == "/v1/files":
        return limits.upload_bytes + FORM_BYTES
    if _PART.fullmatch(path):
        return PART_BYTES + FORM_BYTES
    if _FUNCTION.fullmatch(path):
        return max(FUNCTION_BYTES, limits.body_bytes)
    return limits.body_bytes


class BodyLimits:
    """Answers 413 to bodies that are too large, and 408 to those that come too slowly; then hangs up."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: LimitsConfig,
        patience_s: float = PATIENCE_S,
        least_bytes_per_s: int = LEAST_BYTES_PER_S,
    ):
        self._app, self._limits = app, limits
        self._patience_s, self._rate = patience_s, least_bytes_per_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, most_bytes(scope["path"], self._limits), self._patience_s, self._rate)
        is_started = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal is_started
            if body.refusal is None or is_started:
                is_started = body.is_answered = True
                await send(message)

        try:
            body.check_length(scope)
            await self._app(scope, body, send_unless_refused)
        except _RefusedError:
            if is_started:
                raise
        if body.refusal is not None and not is_started:
            response = body.refusal.response(dialect_of(scope["path"]))
            # The answer is out before the rest is read, for clients that read while they send.
            await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
            await send({"type": "http.response.body", "body": response.body, "more_body": True})
            if body.refusal.status == 413:
                await body.drain()
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class _RefusedError(Exception):
    """Ends the reading of a body; what the application makes of it does not matter."""


class _Body:
    """The `receive` of one request."""

    def __init__(self, receive: Receive, most: int, patience_s: float, rate: int):
        self._receive, self._most = receive, most
        self._patience_s, self._rate = patience_s, rate
        self._bytes = 0
        self._waited_s = 0.0
        self._is_whole = False
        self.is_answered = False
        self.refusal: ApiError | None = None

    def check_length(self, scope: Scope) -> None:
        """Refuse at once what says that it is too large."""
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:20]) > self._most:
                self._refuse(413, f"The body has {int(value[:20])} bytes; at most {self._most} are taken here.")

    async def __call__(self) -> Message:
        if self.refusal is not None:
            raise _RefusedError
        if self._is_whole or self.is_answered:
            return await self._receive()
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._patience_s + self._bytes / self._rate - self._waited_s):
                message = await self._receive()
        except TimeoutError:
            self._refuse(408, f"The body came too slowly: {self._bytes} bytes so far.")
        self._waited_s += time.monotonic() - began
        self._bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._bytes > self._most:
            self._refuse(413, f"The body has more than the {self._most} bytes that are taken here.")
        return message

    async def drain(self) -> None:
        """Take what still comes and forget it, up to a bound of time and bytes."""
        taken = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while not self._is_whole and taken < DRAIN_BYTES:
                    message = await self._receive()
                    taken += len(message.get("body", b""))
                    self._is_whole = not message.get("more_body", False)

    def _refuse(self, status: int, message: str) -> NoReturn:
        # The rest of the body is not wanted, so the connection cannot be used again.
        code = "request_too_large" if status == 413 else "request_timeout"
        self.refusal = ApiError(status, message, code=code, headers={"Connection": "close"})
        raise _RefusedError
