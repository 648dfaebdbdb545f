"""What a model's first answers say about a job that is not started yet: is there anything to learn, and from what?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev, quantiles
from typing import Literal

from tuneward.advise.limits import Advice
from tuneward.advise.preflight import preflight_advice
from tuneward.types import Row, Score

BINS = 10

Tone = Literal["go", "caution", "stop"]


@dataclass(frozen=True, slots=True)
class Answered:
    """A prompt and the model's answers to it."""

    row: Row
    completions: tuple[str, ...]
    truncated: tuple[bool, ...]
    scores: tuple[Score, ...]
    seconds: float
    """From the request to the last answer."""

    @property
    def rewards(self) -> list[float]:
        return [score.reward for score in self.scores if score.is_scored]

    @property
    def is_mixed(self) -> bool:
        return len(set(self.rewards)) > 1


@dataclass(frozen=True, slots=True)
class Bin:
    """Completions with a reward in a range, its upper end included in the last one."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class FirstLook:
    """Numbers and advice; rewards are null where nothing was scored."""

    prompts: int
    completions: int
    scored: int
    reward_mean: float | None
    reward_std: float | None
    exact_share: float
    mixed_groups_share: float
    truncated_share: float
    failed: int
    """Completions that the grader could not score."""
    grading_p50_ms: float | None
    """Of a call of the grader."""
    grading_p95_ms: float | None
    bins: tuple[Bin, ...]
    advice: tuple[Advice, ...]


def look_at(answers: Sequence[Answered], *, exact_threshold: float, error_budget: float) -> FirstLook:
    """What answers say.

    Args:
        answers: at least one.
        exact_threshold: a reward of at least this is an exact success.
        error_budget: share of failed gradings above which a run would stop.
    """
    rewards = [reward for answer in answers for reward in answer.rewards]
    scores = [score for answer in answers for score in answer.scores]
    truncated = [cut for answer in answers for cut in answer.truncated]
    failed = sum(score.is_failed for score in scores)
    exact = sum(reward >= exact_threshold for reward in rewards) / max(1, len(rewards))
    mixed = sum(answer.is_mixed for answer in answers) / len(answers)
    cut_share = sum(truncated) / max(1, len(truncated))
    advice: list[Advice] = []
    if failed > error_budget * len(scores):
        advice.append(_failing(failed, len(scores), error_budget))
    if rewards:
        advice += preflight_advice(
            prompts=len(answers),
            reward_mean=fmean(rewards),
            base_reward=None,
            base_exact=exact,
            mixed_groups_share=mixed,
            truncated_share=cut_share,
        )
    latencies = [score.receipt.wall_s * 1000 for score in scores if not score.is_failed]
    return FirstLook(
        prompts=len(answers),
        completions=len(scores),
        scored=len(rewards),
        reward_mean=fmean(rewards) if rewards else None,
        reward_std=pstdev(rewards) if rewards else None,
        exact_share=exact,
        mixed_groups_share=mixed,
        truncated_share=cut_share,
        failed=failed,
        grading_p50_ms=_quantile(latencies, 50),
        grading_p95_ms=_quantile(latencies, 95),
        bins=histogram(rewards),
        advice=tuple(advice),
    )


def tone_of(look: FirstLook, *, reward_fails: bool, reward_warns: bool) -> Tone:
    """Whether to go on.

    Args:
        look: at the answers.
        reward_fails: a check of the reward failed, so that a job would not start.
        reward_warns: one of them warned.
    """
    severities = {advice.severity for advice in look.advice}
    if reward_fails or "stop" in severities:
        return "stop"
    return "caution" if reward_warns or "warning" in severities or look.failed else "go"


def histogram(rewards: Sequence[float]) -> tuple[Bin, ...]:
    """Rewards in ten bins from the lowest to the highest; one bin when they are all the same."""
    if not rewards:
        return ()
    low, high = min(rewards), max(rewards)
    if low == high or not math.isfinite(high - low):
        return (Bin(low, high, len(rewards)),)
    edges = [low + (high - low) * place / BINS for place in range(BINS)] + [high]
    counts = [0] * BINS
    for reward in rewards:
        counts[min(BINS - 1, int((reward - low) / (high - low) * BINS))] += 1
    return tuple(Bin(edges[place], edges[place + 1], count) for place, count in enumerate(counts))


def _failing(failed: int, asked: int, budget: float) -> Advice:
    return Advice(
        "grader_failing",
        "stop",
        f"The reward failed on {failed} of {asked} completions; a job stops when it fails on more than {budget:.0%}.",
        "Look at the failures below and mend the reward, or raise its time limit.",
    )


def _quantile(values: Sequence[float], percent: int) -> float | None:
    if len(values) < 2:
        return values[0] if values else None
    return quantiles(values, n=100, method="inclusive")[percent - 1]
