"""Threads that wait for judges, and end with the process however long a judge takes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class DaemonThreads(Generic[T]):
    """Runs calls in up to `limit` threads. Unlike `ThreadPoolExecutor`, nobody has to wait for a call to give it up.

    Args:
        limit: threads; they start when there is work.
        name: of the threads.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._jobs: SimpleQueue[tuple[Future[T], Callable[[], T]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._open: set[Future[T]] = set()
        self._started = 0
        self._is_closed = False

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Start on a call; when closed before it ends, its future is cancelled."""
        future: Future[T] = Future()
        with self._lock:
            if self._is_closed:
                future.cancel()
                return future
            self._open.add(future)
            self._jobs.put((future, call))
            if self._started < min(self._limit, len(self._open)):
                self._started += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()
        return future

    def close(self) -> None:
        """Cancel everything that has not ended; safe to call twice."""
        with self._lock:
            self._is_closed = True
            open_futures, self._open = self._open, set()
            for _ in range(self._started):
                self._jobs.put(None)
            self._started = 0
        for future in open_futures:
            future.cancel()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, call = job
            if future.cancelled():
                continue
            # A future that is cancelled meanwhile takes no result any more.
            with contextlib.suppress(InvalidStateError):
                try:
                    result = call()
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
            with self._lock:
                self._open.discard(future)
