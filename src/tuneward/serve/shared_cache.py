"""Things in memory that requests share: loaded when first wanted, kept while used, given up for others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Hashable
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from tuneward.errors import EngineError
from tuneward.jobs.problems import LimitExceededError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Reserve = Callable[[int], None]
"""Makes room for so many bytes. Raises LimitExceededError."""

RETRY_S = 5.0
"""When another try is worth while after all room was in use: answers end within seconds."""


class _Entry(Generic[V]):
    def __init__(self) -> None:
        self.value: Future[V] = Future()
        self.users = 0
        self.bytes = 0
        self.used_at = 0.0
        self.idle: threading.Timer | None = None


class SharedCache(Generic[K, V]):
    """Values by key; those in use are never given up.

    Args:
        load: makes a value. It says what it needs through `Reserve` before it takes any memory.
        unload: lets go of one; nothing refers to it any more once this has returned.
        freed: called after that, to give the memory back.
        limit_bytes: how much may be in memory.
        executor: one thread, in which all loading and unloading happens, so that sums of bytes are true.
        what: the things, for messages.
        idle_s: give up what nobody has used for so long; None: only for others.
    """

    def __init__(
        self,
        load: Callable[[K, Reserve], V],
        unload: Callable[[V], None],
        limit_bytes: Callable[[], int],
        executor: Executor,
        *,
        what: str,
        idle_s: float | None = None,
        freed: Callable[[], None] = lambda: None,
    ):
        self._load, self._unload, self._limit = load, unload, limit_bytes
        self._executor, self._freed = executor, freed
        self._what, self._idle_s = what, idle_s
        self._entries: dict[K, _Entry[V]] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def loaded(self) -> dict[K, V]:
        """What is in memory now."""
        with self._lock:
            return {key: entry.value.result() for key, entry in self._entries.items() if _is_loaded(entry)}

    @asynccontextmanager
    async def use(self, key: K) -> AsyncIterator[V]:
        """A value that stays until the block ends; callers that come while it loads wait for the same one.

        Raises:
            LimitExceededError: what is in use leaves no room for it.
            EngineError: the cache is closed.
            Exception: what `load` raises; the next call tries again.
        """
        entry = self._enter(key)
        try:
            yield await asyncio.shield(asyncio.wrap_future(entry.value))
        finally:
            self._leave(key, entry)

    def load_now(self, key: K) -> V:
        """Load a value ahead of its use; it may be given up again at once. Raises as `use`."""
        entry = self._enter(key)
        try:
            return entry.value.result()
        finally:
            self._leave(key, entry)

    def close(self) -> None:
        """Unload everything, also what is in use. Safe to call twice, and not from the executor's own thread."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._executor.submit(self._unload_all).result()

    def _enter(self, key: K) -> _Entry[V]:
        with self._lock:
            if self._is_closed:
                raise EngineError("The server is stopping.")
            entry = self._entries.get(key)
            is_new = entry is None
            if entry is None:
                entry = self._entries[key] = _Entry()
            entry.users += 1
            if entry.idle is not None:
                entry.idle.cancel()
                entry.idle = None
        if is_new:
            self._executor.submit(self._fill, key, entry)
        return entry

    def _leave(self, key: K, entry: _Entry[V]) -> None:
        with self._lock:
            entry.users -= 1
            entry.used_at = time.monotonic()
            if entry.users == 0 and self._idle_s is not None and self._entries.get(key) is entry:
                entry.idle = threading.Timer(self._idle_s, self._end_idle, (key, entry))
                entry.idle.daemon = True
                entry.idle.start()

    def _fill(self, key: K, entry: _Entry[V]) -> None:
        """Runs in the executor."""
        try:
            value = self._load(key, lambda needed: self._reserve(entry, needed))
        except BaseException as error:
            with self._lock:
                del self._entries[key]
            entry.value.set_exception(error)
        else:
            entry.value.set_result(value)

    def _reserve(self, entry: _Entry[V], needed: int) -> None:
        """Runs in the executor."""
        limit = self._limit()
        while True:
            with self._lock:
                taken = sum(other.bytes for other in self._entries.values())
                if taken + needed <= limit:
                    entry.bytes = needed
                    return
                idle = [(key, other) for key, other in self._entries.items() if not other.users and _is_loaded(other)]
                if not idle:
                    raise LimitExceededError(
                        f"The memory for {self._what} is taken by those in use; try again in a few seconds.",
                        code="server_is_overloaded",
                        retry_after_s=RETRY_S,
                    )
                key, victim = min(idle, key=lambda found: found[1].used_at)
                del self._entries[key]
            self._discard(victim)

    def _end_idle(self, key: K, entry: _Entry[V]) -> None:
        """Runs in a timer's thread."""

        def end() -> None:
            with self._lock:
                if entry.users or self._entries.get(key) is not entry:
                    return
                del self._entries[key]
            self._discard(entry)

        with self._lock:
            if not self._is_closed:
                self._executor.submit(end)

    def _unload_all(self) -> None:
        with self._lock:
            entries = list(self._entries.values())
            self._entries.clear()
        for entry in entries:
            if entry.idle is not None:
                entry.idle.cancel()
            if _is_loaded(entry):
                self._discard(entry)

    def _discard(self, entry: _Entry[V]) -> None:
        self._unload(entry.value.result())
        entry.value = Future()  # it may still be known to a caller
        self._freed()


def _is_loaded(entry: _Entry[V]) -> bool:
    return entry.value.done() and entry.value.exception() is None
