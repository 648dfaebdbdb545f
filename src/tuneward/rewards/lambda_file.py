"""Grader that calls `lambda_handler(event, context)` of a Python file, in killable processes of its own.

Source: Bedrock RFT contract, sections 1.8 (retries) and 4 (events, answers). Linux only.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType

from tuneward.config import RewardConfig
from tuneward.errors import GraderError
from tuneward.rewards.event import event_item, fail, parse_answer
from tuneward.rewards.keeper.frames import FRAME_LIMIT_BYTES
from tuneward.rewards.problems import explain_call, explain_load
from tuneward.rewards.process import Call, KeptProcess
from tuneward.types import Receipt, Sample, Score, Verdict

IMPORT_TIMEOUT_S = 60.0
BACKOFF_S = 0.05
EVENT_LIMIT_BYTES = FRAME_LIMIT_BYTES // 2

QUICK_CALL_S = 1.0
QUICK_PARTS, SLOW_PARTS = 8, 2
"""A call that failed as a whole is retried in parts, so that one bad sample does not cost the others their scores:
eight when calls are quick (64 → 8 → 1 finds the sample within two retries), two when each further call is dear."""

_Job = tuple[bytes, "Future[Call]"]


class LambdaFileGrader:
    """Scores samples with a user's function; `Grader` of `types.py`, and a context manager that closes.

    The constructor loads the file once in a reward process, so a broken file is known before any work is done; the
    other processes start meanwhile. All of them run the bytes read here, whatever happens to the file later.

    Args:
        config: the file, the handler's name, limits, batch size, processes and retries.
        import_timeout_s: wall-clock limit for loading the file, in seconds.
        backoff_s: pause before the first retry, in seconds; doubled for each further one.

    Raises:
        GraderError: the file is missing, unreadable, not Python, does not load, or has no handler that takes
            (event, context).
    """

    def __init__(
        self, config: RewardConfig, *, import_timeout_s: float = IMPORT_TIMEOUT_S, backoff_s: float = BACKOFF_S
    ) -> None:
        source = _read_source(config)
        self._config = config
        self._import_timeout_s = import_timeout_s
        self._backoff_s = backoff_s
        self._name = f"{config.file.name}@{hashlib.sha256(source).hexdigest()[:8]}"
        setup = {
            "path": str(config.file.absolute()),
            "source": source.decode("latin-1"),  # JSON holds text; the reward process turns it back.
            "handler": config.handler,
            "memory_bytes": config.memory_mb << 20,
            "timeout_s": config.timeout_s,
            "import_timeout_s": import_timeout_s,
        }
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._owner = os.getpid()
        self._processes = [KeptProcess(setup) for _ in range(config.workers)]
        self._threads = [
            threading.Thread(target=_serve, args=(process, self._jobs), name=f"reward-{index}", daemon=True)
            for index, process in enumerate(self._processes)
        ]
        try:
            for process in self._processes:
                process.start()
            report = self._processes[0].wait_loaded()
        except OSError as error:
            report = {"kind": "lost", "reason": str(error)}
        for thread in self._threads:
            thread.start()
        if report["kind"] != "ok":
            self.close()
            raise GraderError(explain_load(report, config, import_timeout_s))

    @property
    def name(self) -> str:
        """File name and the first 8 hexadecimal digits of its SHA-256, e.g. `reward.py@3f2a9c1b`."""
        return self._name

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """One Score per sample, in their order; any thread may call. Failed samples are called again up to
        `retries` times; what still fails has reward NaN and the reason in its receipt.

        Raises:
            GraderError: the grader is closed, or this process is a forked copy of the one that built it.
        """
        if os.getpid() != self._owner:
            # A copy has the pipes but not the threads that serve them: it would wait for ever.
            raise GraderError(f"{self._name}: the grader belongs to another process. Build one in each process.")
        if self._closed.is_set():
            raise GraderError(f"{self._name}: the grader is closed. Build another one.")
        scores: dict[int, Score] = {}
        items: dict[int, bytes] = {}
        for index, sample in enumerate(samples):
            item = self._encode(sample)
            if isinstance(item, Score):
                scores[index] = item
            else:
                items[index] = item
        batches = list(_batches(items, self._config.batch_size))
        for attempt in range(1, self._config.retries + 2):
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
        """End every process and whatever they started; calls under way end as failed. Safe to call twice."""
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
        for process in self._processes:
            process.end()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            process.close_pipes()

    def __enter__(self) -> LambdaFileGrader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _encode(self, sample: Sample) -> bytes | Score:
        """The sample's entry of the event as JSON, or its failed score when it cannot be sent."""
        try:
            item = json.dumps(event_item(sample)).encode()
            problem = "" if len(item) <= EVENT_LIMIT_BYTES else f"it takes {len(item) >> 20} MiB"
        except (TypeError, ValueError, RecursionError) as error:
            problem = str(error)
        if not problem:
            return item
        receipt = Receipt(self._name, Verdict.INVALID, attempts=0)
        message = f"Sample {sample.id} cannot be sent to {self._config.file.name} as JSON: {problem}."
        return fail([sample], receipt, Verdict.INVALID, message)[0]

    def _submit(self, items: list[bytes]) -> Future[Call]:
        future: Future[Call] = Future()
        with self._lock:
            if self._closed.is_set():
                future.set_result(Call("closed"))
            else:
                self._jobs.put((b"[" + b",".join(items) + b"]", future))
        return future

    def _judge(self, call: Call, samples: list[Sample], attempt: int) -> list[Score]:
        receipt = Receipt(
            grader=self._name,
            verdict=Verdict.OK,
            attempts=attempt,
            wall_s=call.wall_s,
            cpu_s=call.cpu_s,
            peak_memory_bytes=call.peak_memory_bytes,
            stdout_tail=call.stdout_tail,
            stderr_tail=call.stderr_tail,
        )
        if call.kind == "answer":
            source = f"{self._config.file.name}: {self._config.handler}"
            return parse_answer(call.answer, samples, receipt, source)
        verdict, message = explain_call(call, len(samples), self._config, self._import_timeout_s)
        return fail(samples, receipt, verdict, message)


def _serve(process: KeptProcess, jobs: SimpleQueue[_Job | None]) -> None:
    """Body of the thread that owns one process; waiting for it costs the trainer no interpreter time."""
    while (job := jobs.get()) is not None:
        event, future = job
        try:
            future.set_result(process.call(event))
        except BaseException as error:
            future.set_exception(error)


def _read_source(config: RewardConfig) -> bytes:
    file = config.file
    if file.suffix != ".py":
        raise GraderError(f"{file}: not a Python file. reward.file must name a .py file with {config.handler}.")
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise GraderError(f"{file}: no such reward file. Correct reward.file.") from None
    except OSError as error:
        raise GraderError(f"{file}: cannot be read ({error.strerror}).") from None


def _batches(items: dict[int, bytes], batch_size: int) -> Iterator[list[int]]:
    """Indices in order, at most `batch_size` and EVENT_LIMIT_BYTES at once."""
    batch: list[int] = []
    size = 0
    for index, item in items.items():
        if batch and (len(batch) == batch_size or size + len(item) > EVENT_LIMIT_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(index)
        size += len(item)
    if batch:
        yield batch


def _parts(failed: list[int], call: Call) -> list[list[int]]:
    """The batches in which failed samples are tried again."""
    if not failed or call.kind == "answer":
        return [failed] if failed else []
    is_quick = call.kind != "timeout" and call.wall_s < QUICK_CALL_S
    size = -(-len(failed) // (QUICK_PARTS if is_quick else SLOW_PARTS))
    return [failed[start : start + size] for start in range(0, len(failed), size)]
