"""Constant length: no completion is favoured for being short or long."""

from __future__ import annotations

from tuneward.config import TrainingConfig
from tuneward.rl.losses.base import LossBatch, LossShare, StepTotals, clipped_surrogate


def dr_grpo(batch: LossBatch, totals: StepTotals, config: TrainingConfig) -> LossShare:
    """Clipped surrogate summed over tokens, divided by completions × maximum length.

    Source: Dr. GRPO, arXiv 2503.20783, section 3.2.
    """
    ratio = (batch.logp - batch.sampler_logp).exp()
    loss, clipped = clipped_surrogate(ratio, batch.advantage, config)
    return LossShare(loss.sum() / (totals.sequences * totals.max_completion_tokens), clipped)
