"""The first thing a request meets: who calls, and how often. Nothing of a body is kept for somebody unknown."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuneward.errors import StoreError
from tuneward.jobs.problems import LimitExceededError, ServiceError
from tuneward.serve.auth import Authenticate
from tuneward.serve.aws_errors import AwsError
from tuneward.serve.errors import ApiError, dialect_of, response_to
from tuneward.serve.limits import RateLimits
from tuneward.serve.metrics import Metrics
from tuneward.serve.usage import start_counting

OPEN = ("/healthz", "/readyz", "/metrics", "/openapi.json")
"""Need no key here; `/metrics` asks for itself."""
SESSION = "/api/session"
"""Signing in brings its key in the body, and signing out needs none."""
SIGNED = "/2015-03-31/downloads/"
"""Addresses that are their own permission; see `tuneward.serve.functions.downloads`."""


class Gate:
    """Lets in whom `authenticate` knows, leaves the principal in the request's state, and keeps to the rate limits."""

    def __init__(self, app: ASGIApp, *, authenticate: Authenticate, limits: RateLimits, metrics: Metrics):
        self._app = app
        self._authenticate, self._limits, self._metrics = authenticate, limits, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_open(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        replayed = _Replayed(receive)
        try:
            principal = await self._authenticate(Request(scope, replayed))
            scope["state"]["principal"] = principal
            self._limits.admit(principal.key_id)
        except (ApiError, AwsError, ServiceError, StoreError) as error:
            if isinstance(error, LimitExceededError):
                self._metrics.rate_limited.inc()
            await response_to(error, scope["method"], scope["path"])(scope, receive, send)
            return
        usage = start_counting()
        key_id = principal.key_id

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start" and dialect_of(scope["path"]) == "openai":
                MutableHeaders(scope=message).update(self._limits.headers(key_id))
            await send(message)

        replayed.rewind()
        try:
            await self._app(scope, replayed, send_with_limits)
        finally:
            self._limits.spend(key_id, usage.total)
            self._metrics.count_tokens(usage)


def _is_open(method: str, path: str) -> bool:
    if path == SESSION:
        return method not in ("GET", "HEAD")
    return path in OPEN or path.startswith(SIGNED)


class _Replayed:
    """Gives what it received once more: a signature covers the body, which the route wants too."""

    def __init__(self, receive: Receive):
        self._receive = receive
        self._kept: list[Message] = []
        self._is_keeping = True

    async def __call__(self) -> Message:
        if self._is_keeping:
            self._kept.append(await self._receive())
            return self._kept[-1]
        return self._kept.pop(0) if self._kept else await self._receive()

    def rewind(self) -> None:
        self._is_keeping = False
