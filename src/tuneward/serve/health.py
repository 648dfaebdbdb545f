"""`/healthz`, `/readyz` and `/metrics`: for those who run the server."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool

from tuneward.errors import StoreError
from tuneward.serve.deps import Use
from tuneward.serve.metrics import Metrics
from tuneward.store.database import Database

routes = APIRouter()

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PROBE_PATIENCE_S = 1.0


@routes.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@routes.get("/readyz")
def readyz(services: Use) -> JSONResponse:
    """200 when requests can be served: the database answers and the home can be written; else 503 and why."""
    checks = {"database": database_answers(services.database), "home": _is_writable(services.home)}
    is_ready = all(checks.values())
    body = {"status": "ready" if is_ready else "not ready", "checks": checks}
    return JSONResponse(body, 200 if is_ready else 503)


@routes.get("/metrics")
async def metrics(request: Request, services: Use) -> Response:
    """In the format of Prometheus; any key may read, and nobody needs one where only this machine can connect."""
    if services.config.host not in LOOPBACK:
        await services.authenticate(request)
    counted: Metrics = request.app.state.metrics
    return Response(await run_in_threadpool(counted.text), media_type=CONTENT_TYPE_LATEST)


def database_answers(database: Database) -> bool:
    """Whether it can be read at this moment."""
    try:
        database.read(lambda session: session.execute(text("SELECT 1")).all(), patience_s=PROBE_PATIENCE_S)
    except StoreError:
        return False
    return True


def _is_writable(home: Path) -> bool:
    try:
        handle, name = tempfile.mkstemp(prefix=".ready-", dir=home)
        os.close(handle)
        Path(name).unlink()
    except OSError:
        return False
    return True
