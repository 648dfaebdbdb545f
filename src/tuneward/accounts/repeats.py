"""Signatures that were used already.

A signature is good for ten minutes around its date, and nothing in it is used up by using it. Clients sign every try
anew, but two tries within one second have the same date and so the same signature. So a request that changes things may
come again for a few seconds, and later is taken for a recording.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tuneward.accounts.sigv4 import READING, SKEW_S

HONEST_S = 10.0
"""How long after its first use the same signature may be used again."""


class Repeats:
    """Remembers signatures for as long as they could be accepted; threads may share it.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._first_used: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_recording(self, method: str, signature: str) -> bool:
        """Note a use; True when it comes too long after the first one."""
        if method in READING:
            return False
        with self._lock:
            now = self._clock()
            self._forget(now)
            return now - self._first_used.setdefault(signature, now) > HONEST_S

    def _forget(self, now: float) -> None:
        while self._first_used:
            oldest, used_at = next(iter(self._first_used.items()))
            if now - used_at <= 2 * SKEW_S:
                return
            del self._first_used[oldest]
