"""The second grader, which only measures: nothing that happens to it may harm the run."""

from __future__ import annotations

from dataclasses import replace

from tuneward.rewards.event import fail
from tuneward.rewards.place import relocate
from tuneward.types import Grader, Receipt, Sample, Score, Verdict

PLACE = "reward.held_out"


class HeldOutGrader:
    """A grader that never raises: what it cannot score has reward NaN and the reason in its receipt.

    Args:
        grader: closed with this one.
    """

    def __init__(self, grader: Grader) -> None:
        self._grader = grader

    @property
    def name(self) -> str:
        return self._grader.name

    def score(self, samples: list[Sample]) -> list[Score]:
        """One Score per sample, in their order."""
        try:
            scores = self._grader.score(samples)
        except Exception as error:  # A fault of its own must not end hours of training, either.
            receipt = Receipt(self.name, Verdict.ERROR, attempts=0)
            return fail(samples, receipt, Verdict.ERROR, relocate(str(error), PLACE))
        return [_relocated(score) if score.is_failed else score for score in scores]

    def close(self) -> None:
        self._grader.close()


def _relocated(score: Score) -> Score:
    return replace(score, receipt=replace(score.receipt, message=relocate(score.receipt.message, PLACE)))
