"""How long a job will take: the least time by arithmetic, times what a short probe says this machine makes of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuneward.config import Config
from tuneward.engine.engine import Engine
from tuneward.engine.record import ForwardRecord
from tuneward.engine.roofline import Roofline, roofline_of
from tuneward.engine.sampler import SamplingParams
from tuneward.engine.scorer import Pair, pack
from tuneward.rl.policy import Policy
from tuneward.runs.plan import Plan
from tuneward.types import FinishReason, Group, Prompt

PROBE_SECONDS = 20.0
SAMPLING_SHARE = 0.5
"""Of the probe's time, at most, before the update is probed."""
FIRST_TOKENS, GROWTH = 2, 4
"""Tokens per completion of the first sampling, and how many times as many each further one draws."""

Tokens = tuple[Sequence[int], list[list[int]]]
"""Token ids of a prompt and of its completions."""


@dataclass(frozen=True, slots=True)
class TimePlan:
    """Predicted seconds. Waiting for the reward is not in it: nobody knows before it is asked."""

    rollout_s: float
    """Of one step."""
    update_s: float
    """Of one step in which every group has signal; groups without cost nothing."""
    evaluation_s: float
    """Of one evaluation."""
    steps: int
    evaluations: int
    completion_tokens: float
    """Mean length of completions that was reckoned with."""
    rollout_bound_fraction: float
    """Least time over the time taken, measured."""
    update_bound_fraction: float
    probe_s: float

    @property
    def step_s(self) -> float:
        return self.rollout_s + self.update_s

    @property
    def job_s(self) -> float:
        return self.steps * self.step_s + self.evaluations * self.evaluation_s


@dataclass(frozen=True, slots=True)
class _Speed:
    """Seconds of work whose bound is b: fixed_s + b / fraction."""

    fixed_s: float
    fraction: float

    def seconds(self, bound: float) -> float:
        return self.fixed_s + bound / self.fraction


def probe_speed(
    policy: Policy,
    engine: Engine,
    batch: Sequence[Prompt],
    validation: Sequence[Prompt],
    config: Config,
    plan: Plan,
    *,
    seconds: float = PROBE_SECONDS,
) -> TimePlan:
    """Sample for and update on prompts of the job for a while; adapter, optimizer and random state stay as they are.

    Args:
        policy: at its start.
        engine: samples in this process.
        batch: the prompts of one step.
        validation: the prompts of one evaluation.
        config: of the job.
        plan: of the job.
        seconds: wall-clock time to stay within; a single micro-batch is finished all the same.

    Raises:
        NonFiniteError: the model produced NaN or infinite logits.
    """
    started = time.perf_counter()
    roofline = roofline_of(policy.model)
    record = ForwardRecord(plan.record_tokens) if plan.record_tokens else None
    groups, sampling = _probe_sampling(engine, batch, config, record, roofline, started + seconds * SAMPLING_SHARE)
    stop_rate = _stop_rate(groups)
    whole = _finished(groups, stop_rate, config.training.max_completion_tokens)
    update_fraction = _probe_update(policy, engine, groups, config, plan, record, roofline, started + seconds)
    took = time.perf_counter() - started

    pairs = [(prompt, completion) for prompt, completions in whole for completion in completions]
    update_bound = sum(
        roofline.update_seconds([pairs[index] for index in indices]) for indices in pack(pairs, plan.token_budget)
    )
    lengths = _lengths(stop_rate, config.training.max_completion_tokens, len(validation))
    asked = [
        (prompt.token_ids, [list(range(length))] * config.evaluation.samples_per_prompt)
        for prompt, length in zip(validation, lengths, strict=True)
    ]
    return TimePlan(
        rollout_s=sampling.seconds(roofline.rollout_seconds(whole)),
        update_s=update_bound / update_fraction,
        evaluation_s=sampling.seconds(roofline.rollout_seconds(asked)),
        steps=plan.total_steps,
        evaluations=1 + -(-plan.total_steps // plan.evaluate_every),
        completion_tokens=float(np.mean([len(completion) for _, completion in pairs])),
        rollout_bound_fraction=sampling.fraction,
        update_bound_fraction=update_fraction,
        probe_s=took,
    )


def _probe_sampling(
    engine: Engine,
    batch: Sequence[Prompt],
    config: Config,
    record: ForwardRecord | None,
    roofline: Roofline,
    deadline: float,
) -> tuple[list[Group], _Speed]:
    """The longest sampling that the time allows, and the speed by what it took more than a shorter one."""
    training = config.training
    tokens = min(FIRST_TOKENS, training.max_completion_tokens)

    def sample() -> tuple[list[Group], float, float]:
        if record is not None:
            record.clear()
        begun = time.perf_counter()
        params = SamplingParams(tokens, temperature=training.temperature)
        groups = engine.sample(
            batch, training.samples_per_prompt, params, run_seed=config.run.seed, step=1, record=record
        )
        return groups, time.perf_counter() - begun, roofline.rollout_seconds([_tokens(group) for group in groups])

    sample()  # touches memory and makes what is made once
    groups, taken, bound = sample()
    speed = _Speed(0.0, bound / taken)
    first_taken, first_bound = taken, bound
    while tokens < training.max_completion_tokens:
        longer = min(GROWTH * tokens, training.max_completion_tokens)
        if time.perf_counter() + taken * longer / tokens > deadline:
            break
        tokens = longer
        groups, taken, bound = sample()
        if taken > first_taken and bound > first_bound:
            fraction = (bound - first_bound) / (taken - first_taken)
            speed = _Speed(max(0.0, first_taken - first_bound / fraction), fraction)
        if all(completion.finish_reason is FinishReason.STOP for group in groups for completion in group.completions):
            break
    return groups, speed


def _probe_update(
    policy: Policy,
    engine: Engine,
    groups: Sequence[Group],
    config: Config,
    plan: Plan,
    record: ForwardRecord | None,
    roofline: Roofline,
    deadline: float,
) -> float:
    """Share of the bound that micro-batches reach; the first one only warms up where there is time for two."""
    pairs: list[Pair] = [
        (group.prompt.token_ids, completion.token_ids) for group in groups for completion in group.completions
    ]
    packs = pack(pairs, plan.token_budget)
    fractions: list[float] = []
    taken = 0.0
    for indices in [packs[0], *packs]:
        if fractions and time.perf_counter() + taken > deadline:
            break
        begun = time.perf_counter()
        micro = [pairs[index] for index in indices]
        engine.logprobs(micro, config.training.temperature, record).sum().backward()  # type: ignore[no-untyped-call]
        policy.clip_gradients()  # waits for the device
        taken = time.perf_counter() - begun
        fractions.append(roofline.update_seconds(micro) / taken)
    policy.discard_gradients()
    if record is not None:
        record.clear()
    return float(np.median(fractions[1:] or fractions))


def _tokens(group: Group) -> Tokens:
    return group.prompt.token_ids, [list(completion.token_ids) for completion in group.completions]


def _stop_rate(groups: Sequence[Group]) -> float:
    """Chance that a drawn token ends its completion."""
    completions = [completion for group in groups for completion in group.completions]
    stopped = sum(completion.finish_reason is FinishReason.STOP for completion in completions)
    return stopped / sum(len(completion.token_ids) for completion in completions)


def _lengths(stop_rate: float, most: int, count: int) -> list[int]:
    """Evenly spaced quantiles of the lengths of `count` completions, if every token ends one equally often."""
    if stop_rate <= 0:
        return [most] * count
    if stop_rate >= 1:
        return [1] * count
    left = 1 - (np.arange(count) + 0.5) / count
    lengths = np.clip(np.ceil(np.log(left) / np.log1p(-stop_rate)), 1, most)
    return [int(length) for length in lengths]


def _finished(groups: Sequence[Group], stop_rate: float, most: int) -> list[Tokens]:
    """What was sampled, its unfinished completions drawn out to the lengths to be expected, by tokens all different."""
    unfinished = [
        (number, index)
        for number, group in enumerate(groups)
        for index, completion in enumerate(group.completions)
        if completion.finish_reason is not FinishReason.STOP
    ]
    # Spread over the groups, so that no group has all of the long ones.
    order = np.random.default_rng(0).permutation(len(unfinished))
    whole = [_tokens(group) for group in groups]
    fresh = -1
    for (number, index), length in zip(
        (unfinished[place] for place in order), _lengths(stop_rate, most, len(unfinished)), strict=True
    ):
        completion = whole[number][1][index]
        more = min(length, most - len(completion))
        completion.extend(range(fresh, fresh - more, -1))
        fresh -= more
    return whole
