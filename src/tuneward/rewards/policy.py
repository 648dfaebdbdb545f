"""What failed scores mean for the run: leave them out, count them as 0, or stop with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from threading import Lock
from typing import Any, Literal

from tuneward.errors import GraderError
from tuneward.types import Grader, Sample, Score

MIN_SAMPLES = 50
"""Scores seen before the error budget is applied; fewer say little about a share."""

KEPT_MESSAGES = 200
"""Distinct messages counted; further ones count as failures only, so that checkpoints stay small."""


class FailurePolicy:
    """Counts scores over a run and stops it when failures exceed what the configuration allows.

    Args:
        on_failure: `exclude` and `zero` tolerate failures within the budget, `fail` tolerates none.
        error_budget: share of failed samples, 0 to 1, over at least MIN_SAMPLES.
    """

    def __init__(self, on_failure: Literal["exclude", "zero", "fail"], error_budget: float) -> None:
        self._on_failure = on_failure
        self._error_budget = error_budget
        self._lock = Lock()
        self.scored = 0
        self.failed = 0
        self._messages: dict[str, tuple[int, str]] = {}  # message → times, first sample id

    def observe(self, scores: Iterable[Score]) -> None:
        """Count these scores.

        Raises:
            GraderError: a sample failed and `on_failure` is `fail`, or the failed share of the run so far exceeds
                the budget; says how many failed, the most common reason and what to do.
        """
        with self._lock:
            grader = ""
            for score in scores:
                self.scored += 1
                if not score.is_failed:
                    continue
                self.failed += 1
                grader = score.receipt.grader
                message = score.receipt.message or f"verdict {score.receipt.verdict}"
                times, example = self._messages.get(message, (0, score.sample_id))
                if times or len(self._messages) < KEPT_MESSAGES:
                    self._messages[message] = (times + 1, example)
            # Only new failures can be the reason to stop; a resumed run is not stopped for its past.
            if grader:
                self._decide(grader)

    def _decide(self, grader: str) -> None:
        share = f"{grader}: {self.failed} of {self.scored} samples could not be scored"
        if self._on_failure == "fail":
            raise GraderError(
                f"{share}, and reward.on_failure is fail. {self._most_common()} "
                "Correct the reward function, or set reward.on_failure: exclude to leave such samples out."
            )
        if self.scored >= MIN_SAMPLES and self.failed > self._error_budget * self.scored:
            raise GraderError(
                f"{share}, more than reward.error_budget {self._error_budget:g} allows. {self._most_common()} "
                "Correct the reward function and resume, or raise reward.error_budget."
            )

    def _most_common(self) -> str:
        message, (times, example) = max(self._messages.items(), key=lambda item: item[1][0])
        lead = f"Most often ({times} times)" if self.failed > 1 else "Reason"
        return f"{lead}, for example sample {example}: {message}"

    def state_dict(self) -> dict[str, Any]:
        """Totals as plain JSON values, for the checkpoint."""
        with self._lock:
            messages = {message: list(count) for message, count in self._messages.items()}
            return {"scored": self.scored, "failed": self.failed, "messages": messages}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the totals of `state_dict`."""
        with self._lock:
            self.scored, self.failed = int(state["scored"]), int(state["failed"])
            self._messages = {
                message: (int(times), str(example)) for message, (times, example) in state["messages"].items()
            }


class FailuresAsZero:
    """A grader whose failed scores count as 0, with their verdict and reason kept; for `on_failure: zero`."""

    def __init__(self, grader: Grader) -> None:
        self._grader = grader

    @property
    def name(self) -> str:
        return self._grader.name

    def score(self, samples: list[Sample]) -> list[Score]:
        scores = self._grader.score(samples)
        return [score if score.is_scored else replace(score, reward=0.0) for score in scores]

    def close(self) -> None:
        self._grader.close()
