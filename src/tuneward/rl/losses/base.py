"""What every loss receives and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from tuneward.config import TrainingConfig


@dataclass(frozen=True, slots=True)
class LossBatch:
    """The completion tokens of one micro-batch, completions one after another."""

    logp: Tensor
    """[t] policy log-probs, with gradient."""
    sampler_logp: Tensor
    """[t] log-probs recorded when sampling."""
    advantage: Tensor
    """[t] the completion's advantage, repeated over its tokens."""
    sequence: Tensor
    """[t] int64 number of the completion within the micro-batch, 0 … s-1."""
    lengths: Tensor
    """[s] float tokens of each completion."""


@dataclass(frozen=True, slots=True)
class StepTotals:
    """Denominators of the whole optimizer step, counted before the first backward pass.

    They include the groups without signal, whose compute is skipped: leaving them out would raise the step
    size whenever a batch is easy.
    """

    tokens: int
    """Completion tokens that take part."""
    sequences: int
    """Completions that take part."""
    max_completion_tokens: int
    """The configured limit, the constant length of Dr. GRPO."""


@dataclass(frozen=True, slots=True)
class LossShare:
    """One micro-batch's share of the step's loss."""

    loss: Tensor
    """Scalar; shares of a step add up to its loss."""
    clipped: Tensor
    """[t] bool: tokens through which no gradient passes because the ratio is clipped."""


class Loss(Protocol):
    def __call__(self, batch: LossBatch, totals: StepTotals, config: TrainingConfig) -> LossShare: ...


def clipped_surrogate(ratio: Tensor, advantage: Tensor, config: TrainingConfig) -> tuple[Tensor, Tensor]:
    """-min(ρ A, clip(ρ, 1 - ε_low, 1 + ε_high) A) and where the clip took the gradient away.

    Source: PPO, arXiv 1707.06347, eq. 7; separate bounds: DAPO, arXiv 2503.14476, eq. 10.
    """
    low, high = 1 - config.epsilon_low, 1 + config.epsilon_high
    loss = -(ratio * advantage).minimum(ratio.clamp(low, high) * advantage)
    clipped = ((ratio < low) & (advantage < 0)) | ((ratio > high) & (advantage > 0))
    return loss, clipped
