"""What a pre-flight is answered with, event by event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from tuneward.rewards.bench import BenchReport
from tuneward.runs.first_look import Answered, FirstLook, Tone, tone_of
from tuneward.serve.api.model import ApiModel
from tuneward.serve.api.reward_answer import CheckReport, TestReceipt, told_receipt, told_report, told_text
from tuneward.types import Score

EXAMPLES = 8
FAILURES = 10


class PreflightProgress(ApiModel):
    """Event `progress`: how far it is."""

    phase: Literal["rows", "reward", "model", "answers", "checks"]
    """Fetching rows, loading the reward, loading the model, answering and scoring, testing the reward."""
    prompts: int
    answered: int
    """Prompts whose completions are scored."""
    reward_mean: float | None
    """Of these."""


class PreflightAdvice(ApiModel):
    """One thing that stands out."""

    code: str
    severity: Literal["info", "warning", "stop"]
    message: str
    action: str


class RewardBin(ApiModel):
    """Completions with a reward in a range."""

    low: float
    high: float
    count: int


class ExampleCompletion(ApiModel):
    """One completion."""

    text: str
    """Cut after 4,000 characters."""
    reward: float | None
    """Null: it could not be scored."""
    is_truncated: bool
    problem: str
    """Why it has no reward; empty when it has one."""


class ExamplePrompt(ApiModel):
    """A prompt with its completions, the best first."""

    row_id: str
    prompt: str
    """Its last message."""
    reference_answer: str | None
    completions: list[ExampleCompletion]


class GradingFailure(ApiModel):
    """A completion that the reward could not score, and what happened."""

    row_id: str
    completion: str
    verdict: str
    message: str
    receipt: TestReceipt


class PreflightResult(ApiModel):
    """Event `result`, the last one."""

    verdict: Tone
    """`go`: nothing speaks against starting; `caution`: read the advice first; `stop`: training would be in vain."""
    headline: str
    advice: list[PreflightAdvice]
    prompts: int
    too_long: int
    """Prompts that a job would leave out for their length."""
    completions: int
    scored: int
    failed: int
    reward_mean: float | None
    reward_std: float | None
    exact_share: float
    mixed_groups_share: float
    """Prompts whose completions have differing rewards: what can be learned from."""
    truncated_share: float
    grading_p50_ms: float | None
    grading_p95_ms: float | None
    sampling_s: float
    """Wall-clock time of answering and scoring."""
    histogram: list[RewardBin]
    examples: list[ExamplePrompt]
    failures: list[GradingFailure]
    report: CheckReport | None
    """What the checks of the reward found; null: they were not made."""


HEADLINES: dict[Tone, str] = {
    "go": "Ready to start: the model earns some rewards, and there is something to learn from.",
    "caution": "This can be trained, but read what stands out first.",
    "stop": "Training this as it is would most likely be in vain.",
}


def result_of(
    answers: Sequence[Answered],
    look: FirstLook,
    report: BenchReport | None,
    *,
    too_long: int,
    sampling_s: float,
    does_check: bool,
) -> PreflightResult:
    """The whole result.

    Args:
        answers: in the order of the rows.
        look: at them.
        report: of the reward's checks.
        too_long: prompts left out.
        sampling_s: wall-clock time.
        does_check: a job would make these checks, too, and not start when one fails.
    """
    fails = report is not None and report.has_failed and does_check
    warns = report is not None and not report.is_clean
    tone = tone_of(look, reward_fails=fails, reward_warns=warns)
    failures = [
        _failure(answer, completion, score)
        for answer in answers
        for completion, score in zip(answer.completions, answer.scores, strict=True)
        if score.is_failed
    ]
    return PreflightResult(
        verdict=tone,
        headline=HEADLINES[tone],
        advice=[PreflightAdvice.model_validate(one, from_attributes=True) for one in look.advice],
        prompts=look.prompts,
        too_long=too_long,
        completions=look.completions,
        scored=look.scored,
        failed=look.failed,
        reward_mean=look.reward_mean,
        reward_std=look.reward_std,
        exact_share=look.exact_share,
        mixed_groups_share=look.mixed_groups_share,
        truncated_share=look.truncated_share,
        grading_p50_ms=look.grading_p50_ms,
        grading_p95_ms=look.grading_p95_ms,
        sampling_s=sampling_s,
        histogram=[RewardBin.model_validate(one, from_attributes=True) for one in look.bins],
        examples=[_example(answer) for answer in _telling(answers)],
        failures=failures[:FAILURES],
        report=None if report is None else told_report(report),
    )


def _telling(answers: Sequence[Answered]) -> list[Answered]:
    """A few prompts, those with differing rewards first."""
    return sorted(answers, key=lambda answer: not answer.is_mixed)[:EXAMPLES]


def _example(answer: Answered) -> ExamplePrompt:
    content = answer.row.messages[-1].get("content")
    reference = answer.row.reference_answer
    if reference is not None and not isinstance(reference, str):
        reference = json.dumps(reference, ensure_ascii=False)
    shown = [
        ExampleCompletion(
            text=told_text(text),
            reward=score.reward if score.is_scored else None,
            is_truncated=cut,
            problem=told_text(score.receipt.message) if score.is_failed else "",
        )
        for text, cut, score in zip(answer.completions, answer.truncated, answer.scores, strict=True)
    ]
    lowest = float("-inf")
    return ExamplePrompt(
        row_id=told_text(answer.row.id),
        prompt=told_text(content if isinstance(content, str) else ""),
        reference_answer=None if reference is None else told_text(reference),
        completions=sorted(shown, key=lambda one: -(lowest if one.reward is None else one.reward)),
    )


def _failure(answer: Answered, completion: str, score: Score) -> GradingFailure:
    return GradingFailure(
        row_id=told_text(answer.row.id),
        completion=told_text(completion),
        verdict=score.receipt.verdict.value,
        message=told_text(score.receipt.message),
        receipt=told_receipt(score.receipt),
    )
