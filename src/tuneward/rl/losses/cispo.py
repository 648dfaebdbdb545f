"""The ratio is a bounded weight without gradient, so every token keeps its gradient."""

from __future__ import annotations

from tuneward.config import TrainingConfig
from tuneward.rl.losses.base import LossBatch, LossShare, StepTotals


def cispo(batch: LossBatch, totals: StepTotals, config: TrainingConfig) -> LossShare:
    """-stop_gradient(min(ρ, ε_max)) · A · log p, global token mean.

    Source: CISPO, arXiv 2506.13585, eq. 4; ε_max of about 5: ScaleRL, arXiv 2510.13786.
    """
    ratio = (batch.logp.detach() - batch.sampler_logp).exp()
    weight = ratio.clamp(max=config.cispo_epsilon_max)
    loss = -weight * batch.advantage * batch.logp
    return LossShare(loss.sum() / totals.tokens, ratio > config.cispo_epsilon_max)
