"""The HTTP application."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuneward.config import ConnectionConfig
from tuneward.serve import errors
from tuneward.serve.auth import Authenticate, bearer_key
from tuneward.serve.catalog import Catalog
from tuneward.serve.openai import chat, graders, models

_log = logging.getLogger(__name__)


def create_app(
    catalog: Catalog, authenticate: Authenticate | None = None, *, judges: ConnectionConfig | None = None
) -> FastAPI:
    """An application that serves a catalog, and closes it when it stops.

    Args:
        catalog: what to serve.
        authenticate: who may call; None is everybody.
        judges: where graders that are models find theirs; None: as a configuration without `reward.connection`.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        catalog.close()

    app = FastAPI(title="Tuneward", docs_url=None, redoc_url=None, lifespan=lifespan)
    errors.install(app)
    guarded = [Depends(authenticate or bearer_key(None))]
    app.include_router(models.router(catalog), prefix="/v1", dependencies=guarded)
    app.include_router(chat.router(catalog), prefix="/v1", dependencies=guarded)
    app.include_router(graders.router(judges or ConnectionConfig()), prefix="/v1", dependencies=guarded)
    app.add_middleware(_RequestIds)
    return app


class _RequestIds:
    """Gives every response an `x-request-id`, and turns what nobody caught into an error envelope."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{secrets.token_hex(12)}"
        is_started = False

        async def send_with_id(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            _log.exception("%s %s failed (%s)", scope["method"], scope["path"], request_id)
            if is_started:
                raise
            failure = errors.ApiError(500, f"The server failed on this request ({request_id}); its log says why.")
            await failure.response()(scope, receive, send_with_id)
