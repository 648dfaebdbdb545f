"""Rollouts made by hand, and a policy without a tokenizer, for tests of the algorithm."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.tiny import tiny_model
from tuneward.config import LoraConfig, TrainingConfig
from tuneward.engine.attention import ATTENTION
from tuneward.engine.forward import PackedModel
from tuneward.engine.record import ForwardRecord
from tuneward.engine.sampler import SampledTokens, SamplingParams, sample_tokens
from tuneward.engine.scorer import Pair, completion_logprobs
from tuneward.models.load import add_adapter
from tuneward.rl.policy import REFERENCE, Policy
from tuneward.rl.rollout import Rollout
from tuneward.types import Completion, FinishReason, Group, Prompt, Receipt, Row, Score, Verdict

FAILED = math.nan


def completion(index: int, token_ids: Sequence[int], *, truncated: bool = False, logp: float = -1.0) -> Completion:
    n = len(token_ids)
    reason = FinishReason.LENGTH if truncated else FinishReason.STOP
    return Completion(index, tuple(token_ids), (logp,) * n, (1.0,) * n, "", reason)


def score(reward: float) -> Score:
    return Score("", reward, Receipt("test", Verdict.ERROR if math.isnan(reward) else Verdict.OK))


def rollout_of(groups: Sequence[Sequence[Completion]], rewards: Sequence[Sequence[float]]) -> Rollout:
    """Groups of given completions, each with a short prompt of its own."""
    made = tuple(Group(Prompt(Row(f"row-{i}", ()), (5, 9, 10 + i)), tuple(members)) for i, members in enumerate(groups))
    return Rollout(made, tuple(tuple(score(value) for value in values) for values in rewards), 0.0, 0.0)


def lengths_rollout(
    rewards: Sequence[Sequence[float]],
    lengths: Sequence[Sequence[int]],
    truncated: frozenset[tuple[int, int]] = frozenset(),
) -> Rollout:
    """Groups of completions of given lengths; `truncated` names (group, completion)."""
    groups = [
        [completion(j, range(20, 20 + n), truncated=(i, j) in truncated) for j, n in enumerate(row)]
        for i, row in enumerate(lengths)
    ]
    return rollout_of(groups, rewards)


class BareEngine:
    """The engine's calls without a tokenizer."""

    def __init__(self, model: PackedModel):
        self.model = model

    def logprobs(self, pairs: Sequence[Pair], temperature: float, record: ForwardRecord | None = None) -> Tensor:
        return completion_logprobs(self.model, pairs, temperature, record)


def tiny_policy(
    config: TrainingConfig,
    *,
    total_steps: int = 10,
    moved: bool = False,
    init_from: Path | None = None,
    **changes: Any,
) -> Policy:
    """A policy on a tiny model; `moved` gives its B matrices values, as after some training."""
    lora = LoraConfig(r=4, init_from=init_from)
    model = add_adapter(tiny_model(attention=ATTENTION, **changes), lora, seed=0)
    if init_from is not None:
        model.load_adapter(str(init_from), adapter_name=REFERENCE, is_trainable=False)
        model.set_adapter("default")
    policy = Policy(model, config, total_steps=total_steps)
    if moved:
        move(policy)
    return policy


def move(policy: Policy, *, seed: int = 7, size: float = 0.1) -> None:
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters:
            parameter.add_(torch.randn(parameter.shape, generator=stream) * size)


def completions_of(drawn: Sequence[SampledTokens]) -> tuple[Completion, ...]:
    """The samples of one prompt as completions without text."""
    return tuple(
        Completion(
            index,
            tuple(sample.token_ids),
            tuple(sample.logprobs),
            tuple(sample.entropies),
            "",
            sample.finish_reason or FinishReason.LENGTH,
        )
        for index, sample in enumerate(drawn)
    )


def sampled_rollout(
    policy: Policy,
    rewards: Sequence[Sequence[float]],
    *,
    temperature: float = 1.0,
    max_tokens: int = 8,
    record: ForwardRecord | None = None,
) -> Rollout:
    """Completions that the policy samples, with the rewards given; token 2 ends one."""
    samples = len(rewards[0])
    prompts = [(5, 9, 10 + i) for i in range(len(rewards))]
    owners = [i for i in range(len(rewards)) for _ in range(samples)]
    with policy.packed.merged(record):
        drawn = sample_tokens(
            policy.packed,
            prompts,
            owners,
            list(range(len(owners))),
            frozenset({2, 3, 4}),
            SamplingParams(max_tokens, temperature=temperature),
            record=record,
        )
    groups = [completions_of(drawn[i * samples : (i + 1) * samples]) for i in range(len(rewards))]
    return rollout_of(groups, rewards)


def change_logprobs(rollout: Rollout, value: float) -> Rollout:
    """The rollout with one sampler log-prob for every token of its first completion."""
    group = rollout.groups[0]
    first = group.completions[0]
    changed = dataclasses.replace(first, logprobs=(value,) * len(first.token_ids))
    spoiled = dataclasses.replace(group, completions=(changed, *group.completions[1:]))
    return dataclasses.replace(rollout, groups=(spoiled, *rollout.groups[1:]))


def parameters_of(policy: Policy) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in policy.parameters]


def moments_of(policy: Policy) -> list[dict[str, Tensor]]:
    """A copy of Adam's state, parameter by parameter; empty before the first step."""
    state = policy.optimizer.state_dict()["state"]
    return [{name: value.clone() for name, value in state[key].items()} for key in sorted(state)]
