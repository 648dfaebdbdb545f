"""One line in the log and one count in the metrics for every request, when its answer ends."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuneward.accounts.principal import Principal
from tuneward.serve.logs import ACCESS, REQUEST_ID
from tuneward.serve.metrics import Metrics

_log = logging.getLogger(ACCESS)

UNMATCHED = "unmatched"
PREFIX = "/v1/"
QUIET = ("/healthz", "/readyz", "/metrics")
"""Asked for every few seconds by machines; their successes are not logged."""


def route_of(scope: Scope) -> str:
    """Template of the route that answered, such as `/v1/files/{file_id}`."""
    template = getattr(scope.get("route"), "path", None)
    if template is None:
        return UNMATCHED
    # FastAPI names a route as its own router does, before the prefix of `serve.app`.
    is_under_prefix = scope["path"].startswith(PREFIX) and not template.startswith(PREFIX)
    return PREFIX.rstrip("/") + template if is_under_prefix else str(template)


class Observed:
    """Notes route, status and duration. A stream that breaks off has the status it began with."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics):
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def send_and_look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        token = REQUEST_ID.set(scope["state"]["request_id"])
        try:
            await self._app(scope, receive, send_and_look)
        finally:
            self._note(scope, status, time.perf_counter() - began)
            REQUEST_ID.reset(token)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        method = scope["method"] if route != UNMATCHED else "-"  # a label must not have endlessly many values
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if scope["path"] in QUIET and status < 400:
            return
        principal: Principal | None = scope["state"].get("principal")
        fields = {
            "method": scope["method"],
            "route": route,
            "status": status,
            "ms": round(1000 * seconds, 1),
            "key_id": principal.key_id if principal else None,
            "job_id": scope.get("path_params", {}).get("job_id"),
        }
        level = logging.ERROR if status >= 500 else logging.INFO
        _log.log(level, "%s %s %d", scope["method"], route, status, extra={"fields": fields})
