"""Completions that sampler and policy disagree on too much to learn from."""

from __future__ import annotations

import dataclasses
import math

import torch

from tuneward.rl.losses import LossBatch


def mask_mismatch(batch: LossBatch, max_ratio: float | None) -> tuple[LossBatch, int | None]:
    """Take out of the loss every completion whose probability ratio policy / sampler is above a limit.

    The ratio is that of the whole completion, exp(sum of policy - sampler log-probs), without gradient. A masked
    completion gets advantage 0 and the policy's own log-probs, so no loss sees it; it stays in the baseline of its
    group, where its reward is as good as any, and in the denominators, which are fixed before the first ratio is known.

    Args:
        batch: of one micro-batch.
        max_ratio: limit; None masks nothing.

    Returns:
        The batch to learn from, and how many completions were masked (None when there is no limit).

    Source: sequence masking of TRL's GRPO trainer, limit 3; the reason for it: "When Speed Kills Stability", Liu et
    al., 2025.
    """
    if max_ratio is None:
        return batch, None
    logp = batch.logp.detach()
    log_ratio = torch.zeros_like(batch.lengths).index_add(0, batch.sequence, logp - batch.sampler_logp)
    masked = log_ratio > math.log(max_ratio)  # NaN is not: it has to show in the loss
    out = masked[batch.sequence]
    kept = dataclasses.replace(
        batch,
        advantage=batch.advantage.masked_fill(out, 0.0),
        sampler_logp=torch.where(out, logp, batch.sampler_logp),
    )
    return kept, int(masked.sum())
