"""Supervised fine-tuning: one step, and the loss on held-out conversations.

The same packed forward as reinforcement uses: turns of one conversation share its beginning, and each distinct
beginning is computed once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from tuneward.engine.forward import PackedModel
from tuneward.engine.scorer import Pair, completion_scores, fed_sequences, pack
from tuneward.engine.tree import build_tree
from tuneward.rl.policy import Policy


@dataclass(frozen=True, slots=True)
class Lesson:
    """A conversation as the model learns it."""

    id: str
    turns: tuple[Pair, ...]
    """(prompt, answer) token ids of each answer that is learned."""

    @property
    def learned_tokens(self) -> int:
        return sum(len(answer) for _, answer in self.turns)


@dataclass(frozen=True, slots=True)
class Losses:
    """Means over learned tokens."""

    loss: float
    """Negative log-likelihood, nats per token."""
    token_accuracy: float
    """Share of tokens that were the model's likeliest."""
    tokens: int


@dataclass(frozen=True, slots=True)
class SupervisedStep:
    """What a step did."""

    losses: Losses
    """Before the update."""
    grad_norm: float
    learning_rate: float
    prompt_tokens: int
    """Tokens that are not learned, each distinct beginning once."""
    seconds: float
    skipped: str | None
    """Why the optimizer did not step; None when it did."""


def supervised_step(policy: Policy, lessons: Sequence[Lesson], *, step: int, token_budget: int) -> SupervisedStep:
    """Learn from some conversations: one optimizer step on the mean loss of their learned tokens.

    Args:
        policy: updated in place, unless the gradient is not finite.
        lessons: of this step.
        step: number of the step, from 1.
        token_budget: distinct tokens per micro-batch; changes memory and speed, never the result.
    """
    started = time.perf_counter()
    pairs = [turn for lesson in lessons for turn in lesson.turns]
    total = sum(len(answer) for _, answer in pairs)
    loss_sum, right = 0.0, 0
    for micro in _packs(pairs, token_budget):
        logp, is_likeliest = completion_scores(policy.packed, micro)
        loss = -logp.sum() / total
        loss.backward()  # type: ignore[no-untyped-call]
        loss_sum += float(loss.detach())
        right += int(is_likeliest.sum())
    # Checked before the optimizer moves: Adam would carry a NaN in its moments for ever.
    norm, skipped = policy.clip_gradients(), None
    if not math.isfinite(loss_sum) or not math.isfinite(norm):
        policy.roll_back()
        skipped = f"non-finite loss or gradient (loss {loss_sum}, gradient norm {norm})"
    else:
        policy.update(step)
        if not policy.is_finite():
            policy.roll_back()
            skipped = "the update made parameters non-finite"
    distinct = len(build_tree(fed_sequences(pairs)))
    learned = sum(len(answer) - 1 for _, answer in pairs)
    return SupervisedStep(
        Losses(loss_sum, right / total, total),
        norm,
        policy.learning_rate(step),
        max(0, distinct - learned),
        time.perf_counter() - started,
        skipped,
    )


def measure_losses(model: PackedModel, lessons: Sequence[Lesson], token_budget: int) -> Losses:
    """Loss and accuracy on conversations, over all their learned tokens together."""
    pairs = [turn for lesson in lessons for turn in lesson.turns]
    total = sum(len(answer) for _, answer in pairs)
    loss_sum, right = 0.0, 0
    with torch.no_grad():
        for micro in _packs(pairs, token_budget):
            logp, is_likeliest = completion_scores(model, micro)
            loss_sum -= float(logp.double().sum())
            right += int(is_likeliest.sum())
    return Losses(loss_sum / total, right / total, total)


def _packs(pairs: Sequence[Pair], token_budget: int) -> Iterator[list[Pair]]:
    for indices in pack(pairs, token_budget):
        yield [pairs[index] for index in indices]
