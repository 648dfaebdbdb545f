"""A grader under test: everything the checks ask it, counted, timed, and safe from its failures."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property

from tuneward.errors import GraderError
from tuneward.rewards.bench.references import References, find_references
from tuneward.rewards.bench.report import Example
from tuneward.rewards.event import fail
from tuneward.types import Grader, Receipt, Row, Sample, Score, Verdict

EXACT = 1e-9
"""Scores closer than this are the same."""
FRAME_MARGIN = 0.05
"""Share of the range that a frame around references must bring."""
JUDGE_SLACK = 0.2
"""Share of the range by which a judge may miss the maximum for a reference."""

Sampler = Callable[[Sequence[Row], int], Sequence[Sequence[str]]]
"""Draws completions of the base model: rows, number per row → that many texts for each row."""


class Nature(StrEnum):
    """What may be expected of a grader."""

    RULE = "rule"
    """Code that answers the same for the same; anything else is a mistake in it."""
    JUDGE = "judge"
    """A model decides: it may vary a little, and it can be talked to."""
    UNKNOWN = "unknown"
    """Code elsewhere, or code that may ask a model."""


class Bench:
    """The grader, the rows, and what has been asked so far.

    Args:
        grader: the grader under test; not closed here.
        rows: rows to ask about, at least one.
        nature: decides how strict the checks are.
        bounds: declared lowest and highest score; None: told from the scores, 0 and 1 when they fit.
        base: row id → completions of the base model.
        rebuild: builds the same grader afresh, in processes of its own.
    """

    def __init__(
        self,
        grader: Grader,
        rows: Sequence[Row],
        *,
        nature: Nature = Nature.RULE,
        bounds: tuple[float, float] | None = None,
        base: Mapping[str, Sequence[str]] | None = None,
        rebuild: Callable[[], Grader] | None = None,
    ) -> None:
        self.grader = grader
        self.rows = list(rows)
        self.nature = nature
        self.bounds = bounds
        self.base = dict(base or {})
        self.rebuild = rebuild
        self.scored = 0
        self.call_seconds: list[float] = []
        self.noise = 0.0
        """Largest difference between two scores of one sample, once `determinism` has looked."""
        self._numbers = itertools.count(1)
        self._seen: list[float] = []

    @property
    def is_rule(self) -> bool:
        return self.nature is Nature.RULE

    @property
    def slack(self) -> float:
        """What a reference may lack, in units of the score."""
        return JUDGE_SLACK * self.width if self.nature is Nature.JUDGE else EXACT

    @property
    def width(self) -> float:
        """Distance between the lowest and the highest score: declared, else 1, unless scores were seen beyond."""
        low, high = self.bounds or (0.0, 1.0)
        if self.bounds is None and self._seen and (min(self._seen) < -1 or max(self._seen) > 1):
            low, high = min(self._seen), max(self._seen)
        return high - low

    @property
    def top(self) -> float:
        """The highest score there is: declared, else 1, unless a higher one was seen."""
        return self.bounds[1] if self.bounds else max([1.0, *self._seen])

    @property
    def floor(self) -> float:
        """The lowest score there is: declared, else 0, unless a lower one was seen."""
        return self.bounds[0] if self.bounds else min([0.0, *self._seen])

    def note_range(self, scores: Sequence[Score]) -> None:
        """Let these scores count for `top`, `floor` and `width`."""
        self._seen.extend(score.reward for score in scores if is_usable(score))

    def sample(self, row: Row, text: str) -> Sample:
        """A sample with an id of its own."""
        return Sample(f"bench/{next(self._numbers)}/{row.id}", row, text)

    def score(self, samples: Sequence[Sample], *, grader: Grader | None = None) -> list[Score]:
        """One score per sample, in order, whatever the grader does; a grader that raises has failed for all of them.

        Args:
            samples: ids all different.
            grader: another one than the grader under test.
        """
        if not samples:
            return []
        asked = grader or self.grader
        started = time.perf_counter()
        try:
            scores = list(asked.score(list(samples)))
        except GraderError as error:
            return self._fail(samples, str(error))
        except Exception as error:  # a grader must not raise for a sample's sake: what it does is the finding
            return self._fail(samples, f"{asked.name} raised {type(error).__name__}: {error}.")
        seconds = time.perf_counter() - started
        self.scored += len(samples)
        if [score.sample_id for score in scores] != [sample.id for sample in samples]:
            message = f"{asked.name} answered {len(scores)} scores for {len(samples)} samples, or in another order."
            return self._fail(samples, message, Verdict.INVALID)
        receipts = {id(score.receipt): score.receipt for score in scores if not score.is_failed}
        self.call_seconds += [receipt.wall_s or seconds for receipt in receipts.values()]
        return scores

    def _fail(self, samples: Sequence[Sample], message: str, verdict: Verdict = Verdict.ERROR) -> list[Score]:
        return fail(samples, Receipt(self.grader.name, Verdict.OK), verdict, message)

    @cached_property
    def references(self) -> References:
        """The answers that should earn the most."""
        top = self.bounds[1] if self.bounds else 1.0
        return find_references(
            self.rows,
            self._rate,
            enough=top - self.slack,
            margin=FRAME_MARGIN * self.width,
            # Judges read answers in any form, and each further try costs calls.
            with_frames=self.nature is not Nature.JUDGE,
        )

    def _rate(self, asked: Sequence[tuple[Row, str]]) -> list[float | None]:
        scores = self.score([self.sample(row, text) for row, text in asked])
        return [score.reward if is_usable(score) else None for score in scores]


def is_usable(score: Score) -> bool:
    """There is a finite number, and the grader did not fail."""
    return not score.is_failed and math.isfinite(score.reward)


def difference(first: Score, second: Score) -> float:
    """How far two scores are apart; 0 when one of them failed, which is another check's matter."""
    return abs(first.reward - second.reward) if is_usable(first) and is_usable(second) else 0.0


def against(sample: Sample, score: Score, what: str, other: float) -> Example:
    """An example of two scores that should stand otherwise to each other."""
    return Example(sample.row.id, sample.completion, score.reward, what, other)


def unscored(sample: Sample) -> Example:
    return Example(sample.row.id, sample.completion, math.nan)
