"""The HTTP application."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuneward.serve import accounts, audit, compare, console, errors, guard, health
from tuneward.serve.api import (
    base_models,
    checkpoints,
    code,
    data,
    evaluations,
    events,
    forecast,
    job_actions,
    job_detail,
    live,
    metrics,
    new_jobs,
    preflight,
    reward_library,
    rewards,
    rollouts,
    rows,
    session,
    settings,
)
from tuneward.serve.api import functions as function_editor
from tuneward.serve.api import jobs as job_list
from tuneward.serve.api import models as tuned_models
from tuneward.serve.bedrock import control, runtime
from tuneward.serve.bedrock.paths import RawPaths
from tuneward.serve.functions import routes as functions
from tuneward.serve.housekeeping import house_kept
from tuneward.serve.live_hub import LiveHub
from tuneward.serve.openai import chat, files, graders, jobs, models, permissions, responses, texts, uploads
from tuneward.serve.server import STOPPING
from tuneward.serve.services import Services

_log = logging.getLogger(__name__)


def create_app(services: Services) -> FastAPI:
    """An application over the services; it closes their catalog when it stops."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Callable[[], None]]]:
        async with house_kept(services):
            yield {STOPPING: app.state.live.close}
        app.state.live.close()
        close_guard()
        services.catalog.close()
        services.invocations.close()
        services.warm_functions.close()

    app = FastAPI(title="Tuneward", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.services = services
    app.state.live = LiveHub(services.database)
    errors.install(app)
    for openai in (models, chat, texts, responses, files, uploads, jobs, permissions, graders):
        app.include_router(openai.routes, prefix="/v1")
    for other in (
        control,
        runtime,
        functions,
        accounts,
        audit,
        compare,
        health,
        job_list,
        new_jobs,
        forecast,
        preflight,
        code,
        live,
        session,
        events,
        metrics,
        rollouts,
        evaluations,
        rows,
        settings,
        tuned_models,
        function_editor,
        reward_library,
        rewards,
        base_models,
        data,
        checkpoints,
        job_actions,
        job_detail,  # last: its address takes whatever stands in the place of a job
    ):
        app.include_router(other.routes)
    close_guard = guard.install(app, services)
    console.install(app)
    app.add_middleware(RawPaths)
    app.add_middleware(_RequestIds)
    return app


class _RequestIds:
    """Gives every response an `x-request-id`, and turns what nobody caught into an error body."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{secrets.token_hex(12)}"
        scope.setdefault("state", {})["request_id"] = request_id
        is_started = False

        async def send_with_id(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = headers["x-amzn-RequestId"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            _log.exception("%s %s failed (%s)", scope["method"], scope["path"], request_id)
            if is_started:
                raise
            failure = errors.ApiError(500, f"The server failed on this request ({request_id}); its log says why.")
            await failure.response(errors.dialect_of(scope["path"]))(scope, receive, send_with_id)
