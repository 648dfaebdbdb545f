"""Ctrl-C: once finishes the step and saves, twice stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def graceful_stop() -> Iterator[Callable[[], str | None]]:
    """First Ctrl-C (or SIGTERM): finish the step and save. Second: stop at once."""
    asked: list[str] = []

    def ask(number: int, _frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(f"interrupted by {signal.Signals(number).name}; the step was finished and saved")

    if threading.current_thread() is not threading.main_thread():  # handlers can only be set there
        yield lambda: None
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked[0] if asked else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
