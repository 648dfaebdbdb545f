"""Rate limits of keys: requests and tokens per minute.

Source: OpenAI RFT contract, 1.3 (headers) and 1.5 (status 429); Bedrock RFT contract, 8.0 (ThrottlingException).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tuneward.config import LimitsConfig
from tuneward.jobs.problems import LimitExceededError

MINUTE_S = 60.0


class Bucket:
    """Fills evenly, to what a minute allows; a burst may take all of it at once.

    Args:
        per_minute: what it holds, and gets in a minute.
        clock: seconds that only grow.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]):
        self.per_minute = per_minute
        self._clock = clock
        self._level, self._at = float(per_minute), clock()

    @property
    def level(self) -> float:
        """What is in it; negative after more was taken than was there."""
        now = self._clock()
        self._level = min(self.per_minute, self._level + (now - self._at) * self.per_minute / MINUTE_S)
        self._at = now
        return self._level

    def take(self, amount: float) -> None:
        self._level = self.level - amount

    def wait_s(self, amount: float) -> float:
        """Until so much is in it; 0 when it is."""
        return max(0.0, amount - self.level) * MINUTE_S / self.per_minute

    def headers(self, kind: str) -> dict[str, str]:
        """What a client is told."""
        return {
            f"x-ratelimit-limit-{kind}": str(self.per_minute),
            f"x-ratelimit-remaining-{kind}": str(max(0, int(self.level))),
            f"x-ratelimit-reset-{kind}": duration(self.wait_s(self.per_minute)),
        }


class RateLimits:
    """Buckets of keys. Used by the event loop alone, so it needs no lock.

    Tokens are taken after an answer, when they are known: a key whose bucket is not empty gets its answer, and a debt
    is paid off before the next one.

    Args:
        config: what one key may ask for.
        clock: seconds that only grow.
    """

    def __init__(self, config: LimitsConfig, clock: Callable[[], float] = time.monotonic):
        self._rates = {"requests": config.requests_per_minute, "tokens": config.tokens_per_minute}
        self._clock = clock
        self._buckets: dict[str, dict[str, Bucket]] = {}

    def admit(self, key_id: str) -> None:
        """Count a request. Raises LimitExceededError when the key has used up its minute."""
        buckets = self._of(key_id)
        waits = {kind: bucket.wait_s(1) for kind, bucket in buckets.items()}
        kind = max(waits, key=lambda name: waits[name], default="")
        if kind and waits[kind] > 0:
            raise LimitExceededError(
                f"This key may use {buckets[kind].per_minute} {kind} per minute; try again in {duration(waits[kind])}.",
                code="rate_limit_exceeded",
                retry_after_s=waits[kind],
            )
        if "requests" in buckets:
            buckets["requests"].take(1)

    def spend(self, key_id: str, tokens: int) -> None:
        """Take the tokens of an answer."""
        bucket = self._of(key_id).get("tokens")
        if bucket is not None:
            bucket.take(tokens)

    def headers(self, key_id: str) -> dict[str, str]:
        """`x-ratelimit-…`; empty where nothing is limited."""
        return {name: text for kind, bucket in self._of(key_id).items() for name, text in bucket.headers(kind).items()}

    def _of(self, key_id: str) -> dict[str, Bucket]:
        if key_id not in self._buckets:
            self._buckets[key_id] = {kind: Bucket(rate, self._clock) for kind, rate in self._rates.items() if rate}
        return self._buckets[key_id]


def duration(seconds: float) -> str:
    """As OpenAI writes it: `120ms`, `1s`, `6m0s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
