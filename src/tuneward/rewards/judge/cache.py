"""Answers of judges, so that nothing is judged twice: neither later nor at the same time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_ENTRIES = 20_000
"""Answers kept in memory, some 2 KiB each; those not used for longest are dropped first."""


class Cache(Generic[T]):
    """Futures by key. What fails is forgotten, so that it can be tried again, but is shared by all that waited.

    Args:
        is_kept: whether a result may be used again.
        most: entries.
    """

    def __init__(self, is_kept: Callable[[T], bool], most: int = MOST_ENTRIES) -> None:
        self._is_kept = is_kept
        self._most = most
        self._lock = Lock()
        self._futures: OrderedDict[str, Future[T]] = OrderedDict()

    def get(self, key: str, start: Callable[[], Future[T]]) -> tuple[Future[T], bool]:
        """The future under a key, started when there is none; and whether it was there."""
        with self._lock:
            if (future := self._futures.get(key)) is not None:
                self._futures.move_to_end(key)
                return future, True
            future = self._futures[key] = start()
            while len(self._futures) > self._most:
                self._futures.popitem(last=False)
        future.add_done_callback(lambda done: self._forget_failed(key, done))
        return future, False

    def _forget_failed(self, key: str, future: Future[T]) -> None:
        if not future.cancelled() and future.exception() is None and self._is_kept(future.result()):
            return
        with self._lock:
            if self._futures.get(key) is future:
                del self._futures[key]
