"""A score with its receipt, as `/api` tells it. What graders say is untrusted text."""

from __future__ import annotations

from tuneward.serve.api.model import ApiModel
from tuneward.types import Json, Score, Verdict


class ReceiptCard(ApiModel):
    """What happened in the call of the grader."""

    grader: str
    """Name and content hash."""
    verdict: Verdict
    message: str
    """What went wrong; empty when nothing did."""
    attempts: int
    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    stdout_tail: str
    stderr_tail: str
    limits: dict[str, float]
    isolation: str
    """`sandbox`, `process`, `remote`, `not isolated`; empty when no code ran."""


class ScoreCard(ApiModel):
    """What a grader gave for one completion."""

    reward: float | None
    """Null when the grader failed: the receipt says why."""
    components: dict[str, float]
    """Parts of the reward, by name."""
    metrics: dict[str, float]
    """What the grader measured beside them."""
    details: dict[str, Json]
    """What this kind of grader adds, such as a judge's reasons."""
    receipt: ReceiptCard


def score_card(score: Score) -> ScoreCard:
    """The wire form of a score."""
    receipt = score.receipt
    return ScoreCard(
        reward=score.reward if score.is_scored else None,
        components={name: value for name, value in score.metrics.items() if name in score.components},
        metrics={name: value for name, value in score.metrics.items() if name not in score.components},
        details=dict(score.details),
        receipt=ReceiptCard(
            grader=receipt.grader,
            verdict=receipt.verdict,
            message=receipt.message,
            attempts=receipt.attempts,
            wall_s=receipt.wall_s,
            cpu_s=receipt.cpu_s,
            peak_memory_bytes=receipt.peak_memory_bytes,
            stdout_tail=receipt.stdout_tail,
            stderr_tail=receipt.stderr_tail,
            limits=dict(receipt.limits),
            isolation=receipt.isolation,
        ),
    )
