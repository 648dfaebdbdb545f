"""One ratio per completion."""

from __future__ import annotations

import torch

from tuneward.config import TrainingConfig
from tuneward.rl.losses.base import LossBatch, LossShare, StepTotals, clipped_surrogate


def gspo(batch: LossBatch, totals: StepTotals, config: TrainingConfig) -> LossShare:
    """Clipped surrogate on the completion's ratio exp(mean log-ratio), averaged over the step's completions.

    Source: GSPO, arXiv 2507.18071, eq. 5 and 7.
    """
    zeros = torch.zeros_like(batch.lengths)
    mean_log_ratio = zeros.index_add(0, batch.sequence, batch.logp - batch.sampler_logp) / batch.lengths
    advantage = zeros.index_add(0, batch.sequence, batch.advantage) / batch.lengths
    loss, clipped = clipped_surrogate(mean_log_ratio.exp(), advantage, config)
    return LossShare(loss.sum() / totals.sequences, clipped[batch.sequence])
