"""Beside the training rewards: a few completions of each step are scored by the held-out grader too."""

from __future__ import annotations

from typing import Any

from tuneward.rl.measure import add_usage, held_out_numbers
from tuneward.rl.scoring import ScoringQueue
from tuneward.types import Grader, Sample

THREADS = 2
MOST_OUTSTANDING = 64
"""Samples that may wait for a slow grader; while there are so many, further ones are not taken."""


class HeldOutWatch:
    """Has the first completion of each group scored in the background, so that no step ever waits for it.

    Args:
        grader: one that never raises, see `HeldOutGrader`; stays open.
    """

    def __init__(self, grader: Grader) -> None:
        self._queue = ScoringQueue(grader, threads=THREADS, most=MOST_OUTSTANDING // THREADS)

    def see(self, sample: Sample, index: int) -> None:
        """Take a training sample, `index`-th of its group, if it is one to be measured."""
        if index == 0 and self._queue.outstanding < MOST_OUTSTANDING:
            self._queue.add(sample)

    def add_to(self, record: dict[str, Any]) -> None:
        """Put into a step's record what has come since the record before."""
        scores = [score for _, score in sorted(self._queue.collect().items())]
        record |= held_out_numbers(scores)
        add_usage(record, scores)

    def close(self) -> None:
        """Let go of what is still waiting."""
        self._queue.close()
