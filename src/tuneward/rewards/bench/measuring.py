"""Checks of the numbers themselves: do they come, are they finite, within bounds, different, and soon enough."""

from __future__ import annotations

import math
from collections import Counter

from tuneward.rewards.bench.asking import EXACT, Bench, against, is_usable, unscored
from tuneward.rewards.bench.report import Example, Finding, failed, passed, quoted, skipped, warned
from tuneward.rewards.bench.table import Answer, Table
from tuneward.types import Score, Verdict

SLOW_CALL_S = 10.0
"""Seconds, not minutes: a step waits for its slowest call. Source: Bedrock RFT contract, 4.4."""
NEAR_LIMIT = 0.5
"""Share of the time limit above which a call is near it: a busier machine takes it over."""
USUAL = (-1.0, 1.0)
"""Scores within are on a usual scale. Source: Bedrock RFT contract, 4.3."""


def errors(_: Bench, table: Table) -> Finding:
    """Ordinary answers that get no score."""
    answers = list(table.all())
    lost = [answer for answer in answers if answer.score.is_failed]
    if not lost:
        return passed(f"All {len(answers)} answers got a score.")
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(_verdicts(lost)).most_common())
    message = f"{len(lost)} of {len(answers)} answers got no score ({verdicts}). {lost[0].score.receipt.message}"
    if len(lost) == len(answers):
        return failed(message, "Correct the grader; nothing could be scored.", unscored(lost[0].sample))
    advice = "Make the function answer one finite score for whatever the model writes; catch what parsing may raise."
    return warned(message, advice, unscored(lost[0].sample))


def finite(_: Bench, table: Table) -> Finding:
    """Scores that are NaN or infinite."""
    odd = [answer for answer in table.all() if _is_not_finite(answer.score)]
    if not odd:
        return passed("No score is NaN or infinite.")
    sample, score = odd[0].sample, odd[0].score
    message = f"{len(odd)} answers got NaN or an infinite score."
    advice = "Look for divisions by zero and logarithms of 0, and for numbers parsed from the answer, such as 1e999."
    return failed(message, advice, Example(sample.row.id, sample.completion, score.reward))


def latency(bench: Bench, table: Table) -> Finding:
    """Seconds per call, median and 95th percentile, against the limit and against patience."""
    seconds = sorted(bench.call_seconds)
    if not seconds:
        return skipped("No call was answered.")
    p50, p95 = _quantile(seconds, 0.5), _quantile(seconds, 0.95)
    measured = f"Calls take {_duration(p50)} at the median and {_duration(p95)} at the 95th percentile"
    limits = [answer.score.receipt.limits.get("timeout_s", math.inf) for answer in table.all()]
    limit = min(limits, default=math.inf)
    if p95 > NEAR_LIMIT * limit:
        return warned(f"{measured}, near the limit of {limit:g} s.", "Raise timeout_s, or lower batch_size.")
    if p95 > SLOW_CALL_S:
        return warned(f"{measured}; every step waits for that.", "Make it faster, or raise workers or concurrency.")
    return passed(f"{measured}.")


def score_range(bench: Bench, table: Table) -> Finding:
    """Scores against the declared range, or the usual one."""
    answers = [answer for answer in table.all() if is_usable(answer.score)]
    if not answers:
        return skipped("There are no scores.")
    lowest = min(answers, key=lambda answer: answer.score.reward)
    highest = max(answers, key=lambda answer: answer.score.reward)
    low, high = bench.bounds or USUAL
    message = f"Scores lie between {lowest.score.reward:.4g} and {highest.score.reward:.4g}"
    if low - EXACT <= lowest.score.reward and highest.score.reward <= high + EXACT:
        return passed(f"{message}.")
    outlier = highest if highest.score.reward > high + EXACT else lowest
    opposite = lowest if outlier is highest else highest
    return warned(
        f"{message}, outside {'the declared' if bench.bounds else 'the usual'} {low:g} to {high:g}.",
        "Scale scores to 0 to 1, so that thresholds, weights and curves mean what they say; or declare the range.",
        against(
            outlier.sample,
            outlier.score,
            f"for row {opposite.sample.row.id} another answer earns",
            opposite.score.reward,
        ),
    )


def resolution(bench: Bench, table: Table) -> Finding:
    """How many different scores there are: constant ones carry no signal."""
    answers = [answer for answer in table.all() if is_usable(answer.score)]
    if len(answers) < 2:
        return skipped("There are not enough scores.")
    distinct = {round(answer.score.reward, 9) for answer in answers}
    if len(distinct) == 1:
        first, other = answers[0], answers[-1]
        if not table.of("reference") and not table.base() and first.score.reward <= bench.floor + EXACT:
            return skipped("Only bad answers could be tried, and all earn the lowest score.")
        return warned(
            f"All {len(answers)} answers, good and bad, got the same score: there is nothing to learn from.",
            "Check that the function finds the answer and the reference in the event; print one entry of it.",
            against(first.sample, first.score, f"{quoted(other.sample.completion)} earns", other.score.reward),
        )
    if len(distinct) == 2:
        return passed("There are two different scores; a prompt teaches only while its samples get both.")
    return passed(f"There are {len(distinct)} different scores among {len(answers)} answers.")


def _verdicts(answers: list[Answer]) -> list[str]:
    return [str(answer.score.receipt.verdict) for answer in answers]


def _is_not_finite(score: Score) -> bool:
    """NaN or infinite: as a score, or in an answer that was refused for it, which its message names so."""
    if not score.is_failed:
        return not math.isfinite(score.reward)
    message = score.receipt.message
    return score.receipt.verdict is Verdict.INVALID and any(f" of {name};" in message for name in _NOT_FINITE)


_NOT_FINITE = ("NaN", "infinity", "-infinity")


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
