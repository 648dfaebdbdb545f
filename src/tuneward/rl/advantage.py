"""Advantages relative to the group."""

from __future__ import annotations

import torch
from torch import Tensor

from tuneward.config import AdvantageScale

EPSILON = 1e-4
"""Added to the standard deviation."""


def group_advantages(
    rewards: Tensor, group_ids: Tensor, scale: AdvantageScale = "group", clip: float | None = None
) -> Tensor:
    """Advantage of each completion relative to its group.

    Args:
        rewards: [n] float; NaN marks a failed score and is excluded from the baseline.
        group_ids: [n] int64; completions of one prompt share an id, in any order.
        scale: "group" divides by the group's sample standard deviation (ddof 1) + 1e-4,
            "batch" by the batch's standard deviation of the centred rewards, "none" does not divide.
        clip: limit to ± this value; None does not limit.

    Returns:
        [n] float32; 0 for failed scores and for groups with fewer than two valid ones.

    Source: GRPO, arXiv 2402.03300, eq. 3; "none": Dr. GRPO, arXiv 2503.20783; "batch": arXiv 2508.08221.
    """
    rewards = rewards.double()
    valid = ~rewards.isnan()
    _, group = torch.unique(group_ids, return_inverse=True)
    groups = int(group.max()) + 1 if len(group) else 0
    value = torch.where(valid, rewards, 0.0)
    count = torch.zeros(groups, dtype=torch.float64).index_add_(0, group, valid.double())
    mean = torch.zeros(groups, dtype=torch.float64).index_add_(0, group, value) / count.clamp(min=1)
    usable = valid & (count[group] >= 2)
    # A group whose rewards are all alike must give exactly 0, not the rounding of its mean.
    lowest = torch.full((groups,), torch.inf, dtype=torch.float64)
    highest = -lowest
    lowest.scatter_reduce_(0, group[valid], rewards[valid], "amin")
    highest.scatter_reduce_(0, group[valid], rewards[valid], "amax")
    usable &= (highest > lowest)[group]
    centred = torch.where(usable, value - mean[group], 0.0)
    if scale == "group":
        squares = torch.zeros(groups, dtype=torch.float64).index_add_(0, group, centred**2)
        centred = centred / ((squares / (count - 1).clamp(min=1)).sqrt() + EPSILON)[group]
    elif scale == "batch":
        counted = valid & (count[group] >= 2)
        spread = (centred[counted] ** 2).sum() / max(1, int(counted.sum()) - 1)
        centred = centred / (spread.sqrt() + EPSILON)
    if clip is not None:
        centred = centred.clamp(-clip, clip)
    return centred.float()
