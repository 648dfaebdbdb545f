"""What callers over the network have in common: bounded concurrency, deadlines, retries, and an end to all of it."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from tuneward.errors import GraderError
from tuneward.rewards.process import Call
from tuneward.types import Verdict

PAYLOAD_LIMIT_BYTES = 6_000_000
"""Size of one event: AWS Lambda takes 6 MB, less what surrounds it. Source: Bedrock RFT contract, 4.3."""

BACKOFF_S = 0.5
"""Pause before samples whose call failed are sent again."""

TRIES = 8
"""Of a request that nobody took up: with the pauses between them, about half a minute."""
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 16.0
LONGEST_RETRY_AFTER_S = 60.0
"""A server that wants longer pauses gets this one."""

VERDICTS = {"timeout": Verdict.TIMEOUT, "oom": Verdict.OOM, "too_large": Verdict.INVALID}

T = TypeVar("T")


class NoAnswer(Exception):  # noqa: N818 - not a failure yet: the request is sent again
    """A request that was not answered and may be sent again as it is.

    Args:
        text: one sentence with what happened, without the full stop.
        kind: of the call when it stays so: `unreachable`, or `raised` when smaller calls may fare better.
        tries: in all.
        retry_after_s: pause the server asked for.
    """

    def __init__(self, text: str, *, kind: str = "unreachable", tries: int = TRIES, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.kind = kind
        self.tries = tries
        self.retry_after_s = retry_after_s


class RemoteCaller(ABC):
    """A `Caller` of `event_grader.py` over the network, served by one thread with an event loop.

    Args:
        name: address for receipts, without secrets.
        source: names it in messages.
        timeout_s: wall-clock limit of one request, connecting included and waiting for a free place not.
        concurrency: requests under way at the same time.
        first_wait_s: longest pause before the first repetition of a request; doubled for each further one.
    """

    def __init__(
        self, name: str, source: str, *, timeout_s: float, concurrency: int, first_wait_s: float = FIRST_WAIT_S
    ) -> None:
        self.name = name
        self.source = source
        self.limits = {"timeout_s": timeout_s}
        self.isolation = "remote"
        self._timeout_s = timeout_s
        self._first_wait_s = first_wait_s
        self._places = asyncio.Semaphore(concurrency)
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._is_closed = False
        self._tasks: set[asyncio.Task[Call]] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"reward {source}", daemon=True)
        self._thread.start()

    @abstractmethod
    async def _send(self, event: bytes) -> Call:
        """One request. Raises NoAnswer when it may be repeated."""

    async def _release(self) -> None:  # noqa: B027 - not every caller holds something
        """Give connections back."""

    def submit(self, event: bytes) -> Future[Call]:
        """Send an event (JSON); the future never fails.

        Raises:
            GraderError: this process is a forked copy of the one that built the caller.
        """
        return self._begin(lambda: self._answer(event))

    def explain(self, call: Call, samples: int) -> tuple[Verdict, str]:
        """Verdict and sentence for a call without an answer."""
        for_samples = f"for {samples} samples" if samples > 1 else "for one sample"
        if call.kind == "closed":
            return Verdict.ERROR, f"{self.source} was not awaited {for_samples}, because the grader was closed."
        advice = f" {call.detail['advice']}." if call.detail["advice"] else ""
        return VERDICTS.get(call.kind, Verdict.ERROR), f"{self.source}: {call.detail['text']} {for_samples}.{advice}"

    def close(self) -> None:
        """Give up what is under way and end the thread. Safe to call twice."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _begin(self, work: Callable[[], Coroutine[None, None, Call]]) -> Future[Call]:
        if os.getpid() != self._owner:
            raise GraderError(f"{self.name}: the grader belongs to another process. Build one in each process.")
        future: Future[Call] = Future()

        def settle(task: asyncio.Task[Call]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                future.set_result(Call("closed"))
            elif error := task.exception():
                future.set_exception(error)
            else:
                future.set_result(task.result())

        def start() -> None:
            task = self._loop.create_task(work())
            self._tasks.add(task)
            task.add_done_callback(settle)

        with self._lock:
            if self._is_closed:
                future.set_result(Call("closed"))
            else:
                self._loop.call_soon_threadsafe(start)
        return future

    async def _answer(self, event: bytes) -> Call:
        """The event's call after all repetitions; the time in it is that of the last one."""
        start = time.monotonic()

        async def attempt() -> Call:
            nonlocal start
            async with self._places:
                start = time.monotonic()  # Waiting for a place is nobody's fault and counts for nothing.
                async with asyncio.timeout(self._timeout_s):
                    return await self._send(event)

        try:
            call = await self._repeated(attempt)
        except TimeoutError:
            advice = "Make it faster, raise reward.timeout_s, or lower reward.batch_size"
            call = failed("timeout", f"no answer within {self._timeout_s:g} s", advice)
        except NoAnswer as error:
            call = failed(error.kind, f"{error} (tried {error.tries} times)")
        return replace(call, wall_s=time.monotonic() - start)

    async def _repeated(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Raises NoAnswer when the last try brings none either."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(NoAnswer), stop=_is_last, wait=self._wait_s, sleep=asyncio.sleep, reraise=True
        )
        return await retrying(attempt)

    def _wait_s(self, state: RetryCallState) -> float:
        """Full jitter over a doubling pause, so that callers refused together do not come back together."""
        longest_s = min(LONGEST_WAIT_S, self._first_wait_s * 2 ** (state.attempt_number - 1))
        return min(_no_answer(state).retry_after_s, LONGEST_RETRY_AFTER_S) + random.uniform(0, longest_s)

    def _run(self) -> None:
        """Body of the thread."""
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        await self._stop.wait()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._release()


def failed(kind: str, text: str, advice: str = "") -> Call:
    """A call without an answer; `text` says why and `advice` what to do, both without the full stop."""
    return Call(kind, detail={"text": text, "advice": advice})


def _is_last(state: RetryCallState) -> bool:
    return state.attempt_number >= _no_answer(state).tries


def _no_answer(state: RetryCallState) -> NoAnswer:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert isinstance(error, NoAnswer)
    return error
