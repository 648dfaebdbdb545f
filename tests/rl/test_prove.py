"""The proof finds the fast path equal to the naive one, and finds a fast path that is not."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from tests.rollouts import move, parameters_of, sampled_rollout, tiny_policy

from tuneward.config import LossName, TrainingConfig
from tuneward.engine.record import ForwardRecord
from tuneward.rl.prove import Proof, prove

REWARDS = [[1.0, 0.0, 0.0, 1.0], [0.3, 0.3, 0.3, 0.3], [0.0, 2.0, 0.5, 0.5]]
PLAIN = TrainingConfig(max_completion_tokens=8)


@pytest.mark.parametrize("loss", ["dapo", "gspo"])
@pytest.mark.parametrize("budget", [16, 4096])
def test_the_fast_path_is_the_naive_one(loss: LossName, budget: int) -> None:
    policy = tiny_policy(PLAIN, moved=True)
    before = parameters_of(policy)
    proof = prove(policy, sampled_rollout(policy, REWARDS), PLAIN.model_copy(update={"loss": loss}), budget)
    assert proof is not None
    assert proof.completions == 8, "the group without signal is left out"
    assert proof.logprob_max < 1e-4
    assert proof.loss < 1e-6
    assert proof.gradient < 1e-4
    assert all(torch.equal(a, b) for a, b in zip(before, parameters_of(policy), strict=True))
    assert all(parameter.grad is None for parameter in policy.parameters)


def test_a_fast_path_that_is_wrong_is_found_out() -> None:
    policy = tiny_policy(PLAIN, moved=True)
    record = ForwardRecord(500)
    rollout = dataclasses.replace(sampled_rollout(policy, REWARDS, record=record), record=record)
    honest = prove(policy, rollout, PLAIN, 4096)
    move(policy, seed=8, size=0.3)  # the record is of the policy as it was
    stale = prove(policy, rollout, PLAIN, 4096)
    assert isinstance(honest, Proof)
    assert isinstance(stale, Proof)
    assert honest.gradient < 1e-4 < 1e-2 < stale.gradient


def test_a_rollout_without_signal_proves_nothing() -> None:
    policy = tiny_policy(PLAIN)
    assert prove(policy, sampled_rollout(policy, [[1.0, 1.0]]), PLAIN, 4096) is None
