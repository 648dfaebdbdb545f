"""Which completions of a rollout teach something, and the denominators of the step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tuneward.config import TrainingConfig
from tuneward.rl.advantage import group_advantages
from tuneward.rl.losses import StepTotals
from tuneward.rl.rollout import Rollout
from tuneward.types import Completion


@dataclass(frozen=True, slots=True)
class Trainable:
    """A completion that takes part in the update."""

    prompt_ids: tuple[int, ...]
    completion: Completion
    advantage: float


@dataclass(frozen=True, slots=True)
class Signal:
    """What a rollout has to teach."""

    trainable: tuple[Trainable, ...]
    totals: StepTotals
    advantages: Tensor
    """[n] of all completions, group by group."""
    zero_signal_groups: int
    groups: int

    @property
    def is_empty(self) -> bool:
        return not self.trainable


def find_signal(rollout: Rollout, config: TrainingConfig) -> Signal:
    """Advantages, active completions and the step's denominators.

    Completions without a score, those of groups with fewer than two scores, and truncated ones under
    `mask_truncated` take no part at all. Completions of zero advantage cost no compute unless a KL penalty
    gives them a gradient, but stay in the denominators.
    """
    rewards = torch.tensor([score.reward for score in rollout.all_scores], dtype=torch.float64)
    sizes = [len(group.completions) for group in rollout.groups]
    group_ids = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    advantages = group_advantages(rewards, group_ids, config.advantage, config.advantage_clip)

    trainable: list[Trainable] = []
    tokens = sequences = zero_signal = 0
    start = 0
    for group, size in zip(rollout.groups, sizes, strict=True):
        span = slice(start, start + size)
        start += size
        scored = ~rewards[span].isnan()
        zero_signal += not bool(advantages[span].any())
        if int(scored.sum()) < 2:
            continue
        for completion, is_scored, advantage in zip(group.completions, scored, advantages[span], strict=True):
            if not is_scored or (config.mask_truncated and completion.is_truncated):
                continue
            tokens += len(completion.token_ids)
            sequences += 1
            if float(advantage) != 0 or config.beta > 0:
                trainable.append(Trainable(group.prompt.token_ids, completion, float(advantage)))
    if not any(item.advantage for item in trainable):
        trainable = []
    totals = StepTotals(tokens, sequences, config.max_completion_tokens)
    return Signal(tuple(trainable), totals, advantages, zero_signal, len(sizes))
