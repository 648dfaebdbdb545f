"""Scoring while sampling goes on: samples are scored as they come, in calls as large as there is a backlog."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from tuneward.types import Grader, Sample, Score


class ScoringQueue:
    """Has samples scored in the background; used from one thread.

    A free thread takes what waits, so a grader that keeps up sees each sample at once, and one that does not sees
    fewer, larger calls.

    Args:
        grader: scores; it bounds its own processes and calls.
        threads: calls to the grader at the same time.
        most: samples in one call, unless sharing the backlog among the threads asks for more.
    """

    def __init__(self, grader: Grader, *, threads: int, most: int) -> None:
        self._grader = grader
        self._threads = threads
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[Sample] = deque()
        self._scores: dict[str, Score] = {}
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="scoring")
        self._turns: list[Future[None]] = []
        self._outstanding = 0

    def add(self, sample: Sample) -> None:
        """Have a sample scored; returns at once."""
        with self._lock:
            self._waiting.append(sample)
            self._outstanding += 1
        self._turns.append(self._pool.submit(self._take_turn))

    @property
    def outstanding(self) -> int:
        """Samples added and not yet scored."""
        with self._lock:
            return self._outstanding

    def collect(self) -> dict[str, Score]:
        """Scores that have come since the last call, by sample id; does not wait.

        Raises:
            GraderError: the grader cannot score anything at all.
        """
        turns, self._turns = self._turns, []
        for turn in turns:
            if turn.done():
                turn.result()
            else:
                self._turns.append(turn)
        with self._lock:
            scores, self._scores = self._scores, {}
        return scores

    def finish(self) -> dict[str, Score]:
        """Wait for everything added and return it as `collect` does."""
        for turn in self._turns:
            turn.result()
        return self.collect()

    def close(self) -> None:
        """Forget what waits; calls under way are left to end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _take_turn(self) -> None:
        """Score part of what waits. There is a turn for each sample, so the last ones may find nothing left."""
        with self._lock:
            share = -(-len(self._waiting) // self._threads)
            samples = [self._waiting.popleft() for _ in range(min(len(self._waiting), max(self._most, share)))]
        if not samples:
            return
        scores = self._grader.score(samples)
        with self._lock:
            self._outstanding -= len(samples)
            self._scores |= {sample.id: score for sample, score in zip(samples, scores, strict=True)}
