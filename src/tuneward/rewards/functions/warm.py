"""Functions that stay started between calls, as on AWS Lambda: the first call is a cold start, the next are quick."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

from tuneward.rewards.functions.configuration import FunctionConfiguration
from tuneward.rewards.functions.local import LocalFunction
from tuneward.rewards.functions.problems import FunctionBusyError
from tuneward.rewards.functions.registry import FunctionRegistry

MAX_CALLS = 256
"""Calls under way or waiting, of all functions; more are refused."""


@dataclass(eq=False, slots=True)
class _Entry:
    """One version of a function, and how many calls hold it."""

    started: Future[LocalFunction] = field(default_factory=Future)
    calls: int = 0
    last_used: float = 0.0


class WarmFunctions:
    """Starts functions when they are first called and ends them when nobody calls them; threads share it.

    Args:
        most: functions that stay started though nobody calls them; the longest unused goes first.
        idle_s: how long an unused one stays.
    """

    def __init__(self, *, most: int = 16, idle_s: float = 600.0):
        self._most, self._idle_s = most, idle_s
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._timer: threading.Timer | None = None

    def take(self, registry: FunctionRegistry, reference: str) -> WarmFunction:
        """A started function; whoever takes it gives it back.

        Raises:
            FunctionNotFoundError: no such function.
            FunctionBusyError: too many calls, or the function's reserved concurrency is 0.
            UnloadableError: the code does not load.
            GraderError: it cannot be isolated on this machine.
        """
        configuration = registry.get(reference)
        workers = registry.attributes(configuration.name).reserved_concurrency
        if workers == 0:
            raise FunctionBusyError(
                f"Function {configuration.name} has a reserved concurrency of 0; raise or delete it to call it.",
                reason="ReservedFunctionConcurrentInvocationLimitExceeded",
            )
        key = f"{registry.root} {workers} {json.dumps(configuration.as_json(), sort_keys=True)}"
        with self._lock:
            if sum(entry.calls for entry in self._entries.values()) >= MAX_CALLS:
                raise FunctionBusyError(
                    f"{MAX_CALLS} calls of functions are under way; try again.",
                    reason="ConcurrentInvocationLimitExceeded",
                )
            entry = self._entries.get(key)
            is_cold = entry is None
            if entry is None:
                entry = self._entries[key] = _Entry()
            entry.calls += 1
        if is_cold:
            self._start(key, entry, registry, configuration, workers)
        try:
            return WarmFunction(entry.started.result(), self, entry)
        except BaseException:
            self._give_back(entry)
            raise

    def close(self) -> None:
        """End all of them; calls under way end as failed."""
        with self._lock:
            entries, self._entries = list(self._entries.values()), {}
            if self._timer is not None:
                self._timer.cancel()
        for entry in entries:
            with contextlib.suppress(Exception):  # one that never started
                entry.started.result().close()

    def _start(
        self,
        key: str,
        entry: _Entry,
        registry: FunctionRegistry,
        configuration: FunctionConfiguration,
        workers: int | None,
    ) -> None:
        try:
            function = LocalFunction(registry, f"{configuration.name}:{configuration.version}", workers=workers)
        except BaseException as error:
            with self._lock:
                self._entries.pop(key, None)
            entry.started.set_exception(error)
            return
        entry.started.set_result(function)
        with self._lock:
            # The function was updated while it started: this call is answered by the newer code, the next starts anew.
            if function.configuration != configuration:
                self._entries.pop(key, None)

    def _give_back(self, entry: _Entry) -> None:
        with self._lock:
            entry.calls -= 1
            entry.last_used = time.monotonic()
            is_dropped = entry.calls == 0 and entry not in self._entries.values()
        if is_dropped:
            with contextlib.suppress(Exception):
                entry.started.result().close()
        self._sweep()

    def _sweep_later(self) -> None:
        with self._lock:
            self._timer = None
        self._sweep()

    def _sweep(self) -> None:
        """End what was not called for long, and the longest unused of too many."""
        now = time.monotonic()
        with self._lock:
            idle = sorted(
                ((entry.last_used, key) for key, entry in self._entries.items() if entry.calls == 0), reverse=True
            )
            over = [
                key for number, (used, key) in enumerate(idle) if number >= self._most or used + self._idle_s <= now
            ]
            ended = [self._entries.pop(key) for key in over]
            if len(idle) > len(over) and self._timer is None:
                self._timer = threading.Timer(self._idle_s, self._sweep_later)
                self._timer.daemon = True
                self._timer.start()
        for entry in ended:
            entry.started.result().close()


class WarmFunction:
    """A started function on loan.

    Args:
        function: to be called.
        owner: gets it back.
        entry: of the owner.
    """

    def __init__(self, function: LocalFunction, owner: WarmFunctions, entry: _Entry):
        self.function = function
        self._owner, self._entry = owner, entry

    def give_back(self) -> None:
        """To be called once, after the last call has been answered."""
        self._owner._give_back(self._entry)
