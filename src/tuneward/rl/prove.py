"""A step's mathematics against the plainest program there is: one sequence at a time, as the library has it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tuneward.config import TrainingConfig
from tuneward.engine.scorer import Pair, completion_logprobs, pack
from tuneward.rl.losses import LOSSES
from tuneward.rl.policy import Policy
from tuneward.rl.rollout import Rollout
from tuneward.rl.signal import find_signal
from tuneward.rl.step import loss_batch


@dataclass(frozen=True, slots=True)
class Proof:
    """How far the fast path is from the naive one, on the same rollout and the same weights."""

    completions: int
    logprob_max: float
    """Largest difference of a token's log-prob, nats."""
    loss: float
    """Difference of the losses."""
    gradient: float
    """Norm of the difference of the gradients, relative to the naive gradient's norm."""
    seconds_fast: float
    seconds_naive: float

    @property
    def sentence(self) -> str:
        return (
            f"{self.completions} completions computed one at a time without shortcuts: log-probs differ by at most "
            f"{self.logprob_max:.1e} nats, the loss by {self.loss:.1e}, the gradient by {self.gradient:.1e} of its norm"
        )


def prove(policy: Policy, rollout: Rollout, config: TrainingConfig, token_budget: int) -> Proof | None:
    """Compute a step's loss and gradient both ways; the policy is left as it was.

    The naive way runs each prompt with each of its completions alone through the model's own attention and peft's
    own layers. The KL penalty is left out of both.

    Args:
        policy: that sampled the rollout.
        rollout: of one step; what it recorded is used on the fast side, and kept.
        config: the algorithm.
        token_budget: of the fast side.

    Returns:
        None when the rollout has nothing to learn from.
    """
    signal = find_signal(rollout, config)
    if signal.is_empty:
        return None
    pairs = [(item.prompt_ids, item.completion.token_ids) for item in signal.trainable]

    def run(packs: list[list[int]], logprobs_of: Callable[[list[Pair]], Tensor]) -> tuple[Tensor, float, Tensor, float]:
        started = time.perf_counter()
        logprobs: list[Tensor] = [torch.empty(0)] * len(pairs)
        loss = 0.0
        for indices in packs:
            logp = logprobs_of([pairs[index] for index in indices])
            batch = loss_batch(logp, [signal.trainable[index] for index in indices])
            share = LOSSES[config.loss](batch, signal.totals, config).loss
            share.backward()  # type: ignore[no-untyped-call]
            loss += float(share.detach())
            lengths = [len(pairs[index][1]) for index in indices]
            for index, part in zip(indices, torch.split(logp.detach(), lengths), strict=True):
                logprobs[index] = part
        gradient = torch.cat([p.grad.flatten() for p in policy.parameters if p.grad is not None])
        policy.discard_gradients()
        return torch.cat(logprobs), loss, gradient, time.perf_counter() - started

    fast = run(
        pack(pairs, token_budget),
        lambda some: completion_logprobs(policy.packed, some, config.temperature, rollout.record),
    )
    with policy.packed.as_the_library_has_it():
        naive = run([[index] for index in range(len(pairs))], lambda some: _alone(policy, some[0], config.temperature))
    return Proof(
        len(pairs),
        float((fast[0] - naive[0]).abs().max()),
        abs(fast[1] - naive[1]),
        float((fast[2] - naive[2]).norm() / naive[2].norm()),
        fast[3],
        naive[3],
    )


def _alone(policy: Policy, pair: Pair, temperature: float) -> Tensor:
    prompt, completion = pair
    tokens = torch.tensor([[*prompt, *completion]], device=policy.packed.device)
    logits = policy.model(input_ids=tokens).logits[0, len(prompt) - 1 : -1].float() / temperature
    targets = torch.tensor(completion, device=tokens.device)
    return torch.log_softmax(logits, dim=-1).gather(-1, targets[:, None])[:, 0]
