"""Who did what: requests that change something, and those that were refused. Source of the routes: docs/security.md."""

from __future__ import annotations

import re
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.accounts.trail import Act, Trail
from tuneward.serve.api.model import ApiModel
from tuneward.serve.deps import Admin
from tuneward.serve.limits import Bucket
from tuneward.serve.observe import route_of

LONGEST_TARGET = 500
STRANGERS_PER_MINUTE = 600
"""Refusals of callers without a key that are written; a flood of them must not fill the disk."""

_ASKING = re.compile(
    r"/v1/(chat/)?completions|/v1/responses(/input_tokens)?|/v1/fine_tuning/alpha/graders/(run|validate)"
    r"|/model/[^/]+/(invoke|invoke-with-response-stream|converse|converse-stream|count-tokens)|/listTagsForResource"
    r"|/2015-03-31/functions/[^/]+/invocations"
    r"|/api/(compare|grade|forecast|preflight|rewards/test|data/inspect|data/logs/keys|jobs/code)"
)
"""Posted, but they change nothing: calls of models and functions are counted in the metrics instead."""

routes = APIRouter(prefix="/api")


class AuditRecord(ApiModel):
    """One entry."""

    id: int
    at: float
    """Seconds since 1970."""
    project_id: str | None
    actor: str
    action: str
    target: str
    status: int
    request_id: str


class AuditPage(ApiModel):
    """Part of the log, newest first."""

    data: list[AuditRecord]
    has_more: bool


@routes.get("/audit")
def read_audit(
    request: Request,
    principal: Admin,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[int | None, Query(ge=1, lt=2**31, description="Id of the last entry of the page before.")] = None,
    search: Annotated[str | None, Query(max_length=200, description="Part of an actor, an action or a target.")] = None,
    refused: Annotated[bool, Query(description="Only requests that were refused or failed.")] = False,
) -> AuditPage:
    """The project's entries; administrators of the default project read everybody's."""
    trail: Trail = request.app.state.trail
    trail.flush()
    project_id = None if principal.project_id == DEFAULT_PROJECT else principal.project_id
    entries = trail.entries(project_id, limit=limit + 1, before=after, search=search, is_refused=refused)
    data = [AuditRecord.model_validate(entry, from_attributes=True) for entry in entries[:limit]]
    return AuditPage(data=data, has_more=len(entries) > limit)


class Audited:
    """Notes requests that change something or are refused; never a query, a header or a body."""

    def __init__(self, app: ASGIApp, *, trail: Trail):
        self._app, self._trail = app, trail
        self._strangers = Bucket(STRANGERS_PER_MINUTE, time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_and_note(message: Message) -> None:
            # Before the answer leaves, so that who has it finds the entry.
            if message["type"] == "http.response.start":
                self._note(scope, message["status"])
            await send(message)

        await self._app(scope, receive, send_and_note)

    def _note(self, scope: Scope, status: int) -> None:
        is_refused = status in (401, 403)
        changes = scope["method"] not in ("GET", "HEAD", "OPTIONS") and not _ASKING.fullmatch(scope["path"])
        principal: Principal | None = scope["state"].get("principal")
        if not (is_refused or (changes and principal is not None)):
            return
        if principal is None:
            if self._strangers.level < 1:
                return
            self._strangers.take(1)
        raw = scope.get("raw_path") or b""
        self._trail.note(
            Act(
                at=time.time(),
                project_id=principal.project_id if principal else None,
                actor=principal.key_id if principal else "anonymous",
                action=f"{scope['method']} {route_of(scope)}"[:LONGEST_TARGET],
                target=raw.decode("latin-1").replace("\0", "")[:LONGEST_TARGET],
                status=status,
                request_id=scope["state"]["request_id"],
            )
        )
