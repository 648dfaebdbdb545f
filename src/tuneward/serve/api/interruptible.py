"""Long work in a thread that ends when nobody waits for it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from tuneward.serve.errors import ApiError
from tuneward.serve.inference import until_gone

T = TypeVar("T")

Check = Callable[[], None]
"""Called now and then by the work; raises when it is to end."""


class NobodyWaitsError(Exception):
    """The client has hung up."""


async def while_wanted(request: Request, work: Callable[[Check], T]) -> T:
    """Do the work in a thread; when the client hangs up, the next check in it raises NobodyWaitsError."""
    gone = threading.Event()
    answers: list[T] = []

    def check() -> None:
        if gone.is_set():
            raise NobodyWaitsError

    async def run() -> None:
        answers.append(await run_in_threadpool(work, check))

    try:
        if not await until_gone(request, run()):
            raise ApiError(400, "The client hung up.", code="client_closed_request")
    finally:
        gone.set()
    return answers[0]
