"""Mean over the tokens of each completion, then over completions: the original form."""

from __future__ import annotations

from tuneward.config import TrainingConfig
from tuneward.rl.losses.base import LossBatch, LossShare, StepTotals, clipped_surrogate


def grpo(batch: LossBatch, totals: StepTotals, config: TrainingConfig) -> LossShare:
    """Clipped surrogate, averaged within each completion and then over the step's completions.

    It favours short correct and long wrong answers, since a token's weight falls with its completion's length.

    Source: GRPO, arXiv 2402.03300, eq. 3.
    """
    ratio = (batch.logp - batch.sampler_logp).exp()
    loss, clipped = clipped_surrogate(ratio, batch.advantage, config)
    return LossShare((loss / batch.lengths[batch.sequence]).sum() / totals.sequences, clipped)
