"""What a server tidies up while it runs: files and uploads whose time is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.concurrency import run_in_threadpool

from tuneward.errors import StoreError
from tuneward.serve.services import Services

EVERY_S = 600

_log = logging.getLogger(__name__)


@asynccontextmanager
async def house_kept(services: Services) -> AsyncIterator[None]:
    """Tidies up once at the start and every ten minutes, until the block ends."""
    task = asyncio.create_task(_keep_house(services))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_house(services: Services) -> None:
    while True:
        try:
            await run_in_threadpool(services.files.sweep)
            await run_in_threadpool(services.uploads.sweep)
        except (StoreError, OSError) as error:
            _log.warning("Files whose time is over could not be removed (%s); the next try is in ten minutes.", error)
        await asyncio.sleep(EVERY_S)
