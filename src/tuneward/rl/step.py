"""One step of training: sample, score, compare within groups, move the adapter."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tuneward.config import TrainingConfig
from tuneward.engine.engine import Engine
from tuneward.engine.scorer import pack
from tuneward.rl.kl import k3
from tuneward.rl.losses import LOSSES, LossBatch
from tuneward.rl.mismatch import mask_mismatch
from tuneward.rl.policy import Policy
from tuneward.rl.rollout import Rollout
from tuneward.rl.signal import Signal, Trainable, find_signal


@dataclass(slots=True)
class UpdateStats:
    """What happened while updating; sums run over the trained tokens."""

    loss: float = 0.0
    grad_norm: float | None = None
    tokens: int = 0
    clipped: int = 0
    mismatch_sum: float = 0.0
    mismatch_max: float = 0.0
    mismatch_exp_sum: float = 0.0
    masked: int | None = None
    """Completions masked for their mismatch; None when there is no limit to it."""
    kl_sum: float | None = None
    skipped: str | None = None
    """Why the optimizer did not step; None when it did."""
    is_non_finite: bool = False
    """The reason was NaN or infinity, which must not go on for long."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """Everything the observers of a step may look at."""

    step: int
    rollout: Rollout
    signal: Signal
    learning_rate: float
    update: UpdateStats = field(default_factory=UpdateStats)
    seconds_update: float = 0.0


def train_step(
    policy: Policy, engine: Engine, rollout: Rollout, config: TrainingConfig, *, step: int, token_budget: int
) -> StepResult:
    """Turn a scored rollout into one optimizer step.

    Args:
        policy: updated in place, unless the gradient is not finite or there is nothing to learn.
        engine: samples from and scores with the policy.
        rollout: this step's groups and scores, sampled from the policy as it is.
        config: the algorithm.
        step: number of the step, from 1.
        token_budget: distinct tokens per micro-batch; changes memory and speed, never the result.
    """
    started = time.perf_counter()
    signal = find_signal(rollout, config)
    stats = UpdateStats()
    if signal.is_empty:
        stats.skipped = "no group has differing rewards"
        return StepResult(step, rollout, signal, 0.0, stats)

    pairs = [(item.prompt_ids, item.completion.token_ids) for item in signal.trainable]
    for indices in pack(pairs, token_budget):
        items = [signal.trainable[index] for index in indices]
        micro_pairs = [pairs[index] for index in indices]
        logp = engine.logprobs(micro_pairs, config.temperature, rollout.record)
        batch = loss_batch(logp, items)
        trusted, masked = mask_mismatch(batch, config.mismatch_max_ratio)
        share = LOSSES[config.loss](trusted, signal.totals, config)
        loss = share.loss
        if config.beta > 0:
            with torch.no_grad(), policy.as_reference():
                reference = engine.logprobs(micro_pairs, config.temperature)
            kl = k3(logp, reference).sum()
            loss = loss + config.beta * kl / signal.totals.tokens
            stats.kl_sum = (stats.kl_sum or 0.0) + float(kl.detach())
        loss.backward()  # type: ignore[no-untyped-call]
        _note(stats, loss, batch, share.clipped, masked)

    if rollout.record is not None:
        rollout.record.clear()  # the policy is about to change

    # Checked before the optimizer moves: Adam would carry a NaN in its moments for ever.
    stats.grad_norm = policy.clip_gradients()
    if stats.masked == len(pairs):
        policy.discard_gradients()
        stats.skipped = "every completion was masked for its mismatch"
    elif math.isfinite(stats.loss) and math.isfinite(stats.grad_norm):
        policy.update(step)
        if not policy.is_finite():
            policy.roll_back()
            stats.skipped, stats.is_non_finite = "the update made parameters non-finite", True
    else:
        policy.roll_back()
        stats.is_non_finite = True
        stats.skipped = f"non-finite loss or gradient (loss {stats.loss}, gradient norm {stats.grad_norm})"
    return StepResult(step, rollout, signal, policy.learning_rate(step), stats, time.perf_counter() - started)


def loss_batch(logp: Tensor, items: Sequence[Trainable]) -> LossBatch:
    """What a loss sees of some completions; `logp` [their tokens] one after another."""
    lengths = torch.tensor([len(item.completion.token_ids) for item in items])
    sequence = torch.repeat_interleave(torch.arange(len(items)), lengths)
    advantage = torch.tensor([item.advantage for item in items], dtype=logp.dtype)
    sampler_logp = torch.tensor([value for item in items for value in item.completion.logprobs], dtype=logp.dtype)
    on = logp.device
    return LossBatch(
        logp, sampler_logp.to(on), advantage[sequence].to(on), sequence.to(on), lengths.to(on, dtype=logp.dtype)
    )


def _note(stats: UpdateStats, loss: Tensor, batch: LossBatch, clipped: Tensor, masked: int | None) -> None:
    difference = (batch.logp.detach() - batch.sampler_logp).abs()
    stats.loss += float(loss.detach())
    stats.tokens += len(difference)
    stats.clipped += int(clipped.sum())
    if masked is not None:
        stats.masked = (stats.masked or 0) + masked
    stats.mismatch_sum += float(difference.sum())
    stats.mismatch_max = max(stats.mismatch_max, float(difference.max()))
    stats.mismatch_exp_sum += float(difference.exp().sum())
