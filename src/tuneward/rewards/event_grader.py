"""Grader that puts samples into events and has somebody answer them: batches, retries, receipts.

Source: Bedrock RFT contract, sections 1.8 (retries) and 4 (events, answers).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Literal, Protocol, Self

from tuneward.errors import GraderError
from tuneward.rewards.event import event_item, fail, parse_answer
from tuneward.rewards.keeper.frames import FRAME_LIMIT_BYTES
from tuneward.rewards.process import Call
from tuneward.types import Receipt, Sample, Score, Verdict

BACKOFF_S = 0.05
EVENT_LIMIT_BYTES = FRAME_LIMIT_BYTES // 2

QUICK_CALL_S = 1.0
QUICK_PARTS, SLOW_PARTS = 8, 2
"""A call that failed as a whole is retried in parts, so that one bad sample does not cost the others their scores:
eight when calls are quick (64 → 8 → 1 finds the sample within two retries), two when each further call is dear."""


class Caller(Protocol):
    """Somebody who answers events: processes of this machine, AWS Lambda, an HTTP address."""

    @property
    def name(self) -> str:
        """Name and content hash, or address, for receipts."""
        ...

    @property
    def source(self) -> str:
        """Names the function in messages."""
        ...

    @property
    def limits(self) -> Mapping[str, float]: ...

    @property
    def isolation(self) -> str:
        """`sandbox`, `process`, or `remote`, for receipts."""
        ...

    def submit(self, event: bytes) -> Future[Call]:
        """Start on an event (JSON list); the future ends within the caller's own limits and never raises."""
        ...

    def explain(self, call: Call, samples: int) -> tuple[Verdict, str]:
        """Verdict and sentence for a call whose kind is not `answer`."""
        ...

    def close(self) -> None: ...


class EventGrader:
    """Scores samples through a `Caller`; `Grader` of `types.py`, and a context manager that closes.

    Args:
        caller: answers the events; closed with the grader.
        batch_size: samples in one event, at most.
        retries: further calls for samples whose call failed.
        backoff_s: pause before the first retry, in seconds; doubled for each further one.
        reference_answer: form in which reference answers that are strings are sent, see `RewardConfig`.
        event_limit_bytes: size of one event, at most.
    """

    def __init__(
        self,
        caller: Caller,
        *,
        batch_size: int,
        retries: int,
        backoff_s: float = BACKOFF_S,
        reference_answer: Literal["raw", "text"] = "raw",
        event_limit_bytes: int = EVENT_LIMIT_BYTES,
    ) -> None:
        self._caller = caller
        self._batch_size = batch_size
        self._retries = retries
        self._backoff_s = backoff_s
        self._reference_answer = reference_answer
        self._event_limit_bytes = event_limit_bytes
        self._closed = threading.Event()

    @property
    def name(self) -> str:
        """Name and content hash of what answers."""
        return self._caller.name

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """One Score per sample, in their order; any thread may call. Failed samples are called again up to
        `retries` times; what still fails has reward NaN and the reason in its receipt.

        Raises:
            GraderError: the grader is closed, or this process is a forked copy of the one that built it.
        """
        if self._closed.is_set():
            raise GraderError(f"{self.name}: the grader is closed. Build another one.")
        scores: dict[int, Score] = {}
        items: dict[int, bytes] = {}
        for index, sample in enumerate(samples):
            item = self._encode(sample)
            if isinstance(item, Score):
                scores[index] = item
            else:
                items[index] = item
        batches = list(_batches(items, self._batch_size, self._event_limit_bytes))
        for attempt in range(1, self._retries + 2):
            if attempt > 1:
                self._closed.wait(self._backoff_s * 2 ** (attempt - 2))
            calls = [(batch, self._submit([items[index] for index in batch])) for batch in batches]
            batches = []
            for batch, future in calls:
                call = future.result()
                new = self._judge(call, [samples[index] for index in batch], attempt)
                scores.update(zip(batch, new, strict=True))
                failed = [index for index, score in zip(batch, new, strict=True) if score.is_failed]
                batches += _parts(failed, call)
            if not batches or self._closed.is_set():
                break
        return [scores[index] for index in range(len(samples))]

    def close(self) -> None:
        """Close the caller; calls under way end as failed. Safe to call twice."""
        self._closed.set()
        self._caller.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _encode(self, sample: Sample) -> bytes | Score:
        """The sample's entry of the event as JSON, or its failed score when it cannot be sent."""
        try:
            item = json.dumps(event_item(sample, reference_answer=self._reference_answer)).encode()
            problem = "" if len(item) <= self._event_limit_bytes else f"it takes {len(item) >> 20} MiB"
        except (TypeError, ValueError, RecursionError) as error:
            problem = str(error)
        if not problem:
            return item
        message = f"Sample {sample.id} cannot be sent to {self._caller.source} as JSON: {problem}."
        return fail([sample], Receipt(self.name, Verdict.INVALID, attempts=0), Verdict.INVALID, message)[0]

    def _submit(self, items: list[bytes]) -> Future[Call]:
        return self._caller.submit(b"[" + b",".join(items) + b"]")

    def _judge(self, call: Call, samples: list[Sample], attempt: int) -> list[Score]:
        receipt = Receipt(
            grader=self.name,
            verdict=Verdict.OK,
            attempts=attempt,
            wall_s=call.wall_s,
            cpu_s=call.cpu_s,
            peak_memory_bytes=call.peak_memory_bytes,
            stdout_tail=call.stdout_tail,
            stderr_tail=call.stderr_tail,
            limits=self._caller.limits,
            isolation=self._caller.isolation,
        )
        if call.kind == "answer":
            return parse_answer(call.answer, samples, receipt, self._caller.source)
        verdict, message = self._caller.explain(call, len(samples))
        return fail(samples, receipt, verdict, message)


def _batches(items: dict[int, bytes], batch_size: int, limit_bytes: int) -> Iterator[list[int]]:
    """Indices in order, at most `batch_size` and `limit_bytes` at once."""
    batch: list[int] = []
    size = 0
    for index, item in items.items():
        if batch and (len(batch) == batch_size or size + len(item) > limit_bytes):
            yield batch
            batch, size = [], 0
        batch.append(index)
        size += len(item)
    if batch:
        yield batch


def _parts(failed: list[int], call: Call) -> list[list[int]]:
    """The batches in which failed samples are tried again; none for a caller that has tried in vain itself."""
    if call.kind == "unreachable":
        return []
    if not failed or call.kind == "answer":
        return [failed] if failed else []
    is_quick = call.kind != "timeout" and call.wall_s < QUICK_CALL_S
    size = -(-len(failed) // (QUICK_PARTS if is_quick else SLOW_PARTS))
    return [failed[start : start + size] for start in range(0, len(failed), size)]
