"""Global token mean: every token of the step weighs the same."""

from __future__ import annotations

from tuneward.config import TrainingConfig
from tuneward.rl.losses.base import LossBatch, LossShare, StepTotals, clipped_surrogate


def dapo(batch: LossBatch, totals: StepTotals, config: TrainingConfig) -> LossShare:
    """Clipped surrogate summed over tokens, divided by all active tokens of the step.

    Source: DAPO, arXiv 2503.14476, eq. 8.
    """
    ratio = (batch.logp - batch.sampler_logp).exp()
    loss, clipped = clipped_surrogate(ratio, batch.advantage, config)
    return LossShare(loss.sum() / totals.tokens, clipped)
