"""A grader that gives the scores it is told to, for tests of what is built on graders."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tuneward.types import Receipt, Sample, Score, Verdict

Rule = Callable[[Sample], float | Verdict]
"""What a sample earns, or how its grading fails."""


class ScriptedGrader:
    """Scores in this process, and writes down what it was asked.

    Args:
        rule: what each sample earns.
        name: in its receipts.
        before: called at the start of each call, for tests of what runs at the same time.
    """

    def __init__(
        self,
        rule: Rule = lambda sample: float(sample.completion),
        name: str = "scripted@0",
        *,
        before: Callable[[list[Sample]], None] = lambda _: None,
        wall_s: float = 0.0,
        metrics: Mapping[str, float] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self._rule = rule
        self._before = before
        self._wall_s = wall_s
        self._metrics = dict(metrics or {})
        self._details = dict(details or {})
        self._lock = threading.Lock()
        self.calls: list[list[str]] = []
        self.closed = 0

    @property
    def asked(self) -> list[str]:
        """Every sample id it was given, in order."""
        return [sample_id for call in self.calls for sample_id in call]

    def score(self, samples: list[Sample]) -> list[Score]:
        with self._lock:
            self.calls.append([sample.id for sample in samples])
        self._before(samples)
        return [self._score(sample) for sample in samples]

    def close(self) -> None:
        self.closed += 1

    def _score(self, sample: Sample) -> Score:
        earned = self._rule(sample)
        if isinstance(earned, Verdict):
            receipt = Receipt(self.name, earned, f"{self.name} failed. Raise reward.timeout_s.", wall_s=self._wall_s)
            return Score(sample.id, math.nan, receipt, details=self._details)
        receipt = Receipt(self.name, Verdict.OK, wall_s=self._wall_s)
        return Score(sample.id, earned, receipt, self._metrics, details=self._details)
