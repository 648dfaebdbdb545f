"""One optimizer step on a tiny model."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from tests.rollouts import BareEngine, change_logprobs, moments_of, move, parameters_of, sampled_rollout, tiny_policy
from torch import Tensor

from tuneward.config import LossName, TrainingConfig
from tuneward.rl.policy import Policy
from tuneward.rl.rollout import Rollout
from tuneward.rl.step import StepResult, train_step
from tuneward.types import Completion

REWARDS = [[1.0, 0.0, 0.0, 1.0], [0.3, 0.3, 0.3, 0.3], [0.0, 2.0, 0.5, 0.5]]
PLAIN = TrainingConfig(max_completion_tokens=8, learning_rate=1e-2)
ALL: list[LossName] = ["dapo", "grpo", "dr_grpo", "gspo", "cispo"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def step(
    policy: Policy, rollout: Rollout, config: TrainingConfig = PLAIN, *, number: int = 1, budget: int = 4096
) -> StepResult:
    return train_step(policy, BareEngine(policy.packed), rollout, config, step=number, token_budget=budget)  # type: ignore[arg-type]


class RecordingPolicy(Policy):
    """Keeps the gradient as it was before clipping."""

    gradient: Tensor

    def clip_gradients(self) -> float:
        self.gradient = torch.cat([p.grad.flatten() for p in self.parameters if p.grad is not None])
        return super().clip_gradients()


def recording(config: TrainingConfig, dtype: torch.dtype = torch.float32) -> RecordingPolicy:
    policy = tiny_policy(config, moved=True, dtype=dtype)
    for parameter in policy.parameters:
        parameter.data = parameter.data.to(dtype)
    policy.__class__ = RecordingPolicy
    assert isinstance(policy, RecordingPolicy)
    return policy


def off_policy(rollout: Rollout) -> Rollout:
    """The same rollout with sampler log-probs that differ, so that ratios and clips matter."""

    def shifted(c: Completion) -> Completion:
        values = tuple(value + 0.3 * math.sin(7 * i + c.index) for i, value in enumerate(c.logprobs))
        return dataclasses.replace(c, logprobs=values)

    groups = tuple(
        dataclasses.replace(group, completions=tuple(shifted(c) for c in group.completions)) for group in rollout.groups
    )
    return dataclasses.replace(rollout, groups=groups)


def assert_unchanged(policy: Policy, values: list[Tensor], moments: list[dict[str, Tensor]]) -> None:
    for now, then in zip(parameters_of(policy), values, strict=True):
        assert torch.equal(now, then)
    state = moments_of(policy)
    assert len(state) == len(moments)
    for ours, theirs in zip(state, moments, strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("beta", [0.0, 0.1])
@pytest.mark.parametrize("loss", ALL)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 5e-6), (torch.float64, 1e-7)])
def test_loss_and_gradient_do_not_depend_on_the_token_budget(
    dtype: torch.dtype, tolerance: float, loss: LossName, beta: float
) -> None:
    # In double precision only the library's norms still round to fp32, so the bound is tight.
    config = PLAIN.model_copy(update={"loss": loss, "beta": beta})
    rollout = off_policy(sampled_rollout(recording(config, dtype), REWARDS))
    results = []
    for budget in (100_000, 30, 1):
        policy = recording(config, dtype)
        result = step(policy, rollout, config, budget=budget)
        results.append((result.update, policy.gradient))
    whole, gradient = results[0]
    for update, other in results[1:]:
        assert update.loss == pytest.approx(whole.loss, abs=tolerance)
        assert float((other - gradient).norm()) <= tolerance * float(gradient.norm())
        assert (update.tokens, update.clipped) == (whole.tokens, whole.clipped)


def test_the_gradient_is_that_of_every_sequence_alone() -> None:
    # Naively: no packing, no micro-batches, no skipping of groups without signal; advantages by hand.
    policy = recording(PLAIN)
    rollout = off_policy(sampled_rollout(policy, REWARDS))
    rewards = torch.tensor(REWARDS, dtype=torch.float64)
    spread = rewards.std(1, keepdim=True)
    advantage = torch.where(spread > 0, (rewards - rewards.mean(1, keepdim=True)) / (spread + 1e-4), 0.0)
    tokens = sum(len(c.token_ids) for group in rollout.groups for c in group.completions)
    total = torch.zeros(())
    for group, values in zip(rollout.groups, advantage, strict=True):
        for c, a in zip(group.completions, values.tolist(), strict=True):
            logp = BareEngine(policy.packed).logprobs([(group.prompt.token_ids, c.token_ids)], 1.0)
            ratio = (logp - torch.tensor(c.logprobs)).exp()
            total = total - torch.minimum(ratio * a, ratio.clamp(0.8, 1.28) * a).sum() / tokens
    total.backward()  # type: ignore[no-untyped-call]
    expected = torch.cat([p.grad.flatten() for p in policy.parameters if p.grad is not None])
    policy.discard_gradients()

    result = step(policy, rollout)

    assert result.update.loss == pytest.approx(float(total.detach()), rel=1e-5)
    assert float((policy.gradient - expected).norm()) <= 1e-5 * float(expected.norm())
    assert result.update.grad_norm == pytest.approx(float(expected.norm()), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
def test_on_policy_the_policys_log_probs_are_the_samplers(temperature: float) -> None:
    config = PLAIN.model_copy(update={"temperature": temperature})
    policy = tiny_policy(config, moved=True)
    update = step(policy, sampled_rollout(policy, REWARDS, temperature=temperature), config).update
    assert update.mismatch_max < 1e-4
    assert update.mismatch_sum / update.tokens < 1e-5
    assert update.mismatch_exp_sum / update.tokens == pytest.approx(1, abs=1e-5)
    assert update.clipped == 0


def test_another_temperature_than_the_samplers_shows_as_a_mismatch() -> None:
    policy = tiny_policy(PLAIN, moved=True)
    update = step(policy, sampled_rollout(policy, REWARDS, temperature=0.5)).update
    assert update.mismatch_sum / update.tokens > 0.05


def test_a_step_moves_the_adapter_and_reports_its_rate() -> None:
    config = PLAIN.model_copy(update={"warmup_steps": 4})
    policy = tiny_policy(config)
    before = parameters_of(policy)
    result = step(policy, sampled_rollout(policy, REWARDS), config, number=2)
    assert any(not torch.equal(old, new) for old, new in zip(before, parameters_of(policy), strict=True))
    assert result.learning_rate == pytest.approx(0.005)
    assert result.update.skipped is None


def test_rewarded_completions_become_likelier_and_the_others_rarer() -> None:
    policy = tiny_policy(PLAIN)
    rollout = sampled_rollout(policy, [[1.0, 0.0, 1.0, 0.0]])
    step(policy, rollout)
    group = rollout.groups[0]
    pairs = [(group.prompt.token_ids, c.token_ids) for c in group.completions]
    with torch.no_grad():
        now = BareEngine(policy.packed).logprobs(pairs, 1.0)
    ends = torch.tensor([len(c.token_ids) for c in group.completions]).cumsum(0).tolist()
    gains = [
        float(now[end - len(c.token_ids) : end].sum()) - sum(c.logprobs)
        for end, c in zip(ends, group.completions, strict=True)
    ]
    assert gains[0] + gains[2] > 0 > gains[1] + gains[3]


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_without_signal_nothing_is_updated(beta: float) -> None:
    config = PLAIN.model_copy(update={"beta": beta})
    policy = tiny_policy(config, moved=True)
    values, moments = parameters_of(policy), moments_of(policy)
    result = step(policy, sampled_rollout(policy, [[0.1 + 0.2] * 4, [math.nan] * 4]), config)
    assert_unchanged(policy, values, moments)
    assert result.update.skipped == "no group has differing rewards"
    assert not result.update.is_non_finite
    assert (result.update.tokens, result.update.grad_norm) == (0, None)


def test_a_non_finite_loss_changes_nothing() -> None:
    policy = tiny_policy(PLAIN, moved=True)
    values, moments = parameters_of(policy), moments_of(policy)
    result = step(policy, change_logprobs(sampled_rollout(policy, REWARDS), math.nan))
    assert_unchanged(policy, values, moments)
    assert result.update.is_non_finite
    assert "non-finite loss or gradient (loss nan" in (result.update.skipped or "")
    assert all(parameter.grad is None for parameter in policy.parameters)


def test_an_infinite_reward_never_reaches_the_adapter() -> None:
    policy = tiny_policy(PLAIN, moved=True)
    values, moments = parameters_of(policy), moments_of(policy)
    result = step(policy, sampled_rollout(policy, [[math.inf, 0.0, 1.0, 0.0]]))
    assert_unchanged(policy, values, moments)
    assert result.update.is_non_finite


def test_a_non_finite_gradient_under_a_finite_loss_changes_nothing() -> None:
    policy = tiny_policy(PLAIN, moved=True)
    rollout = sampled_rollout(policy, REWARDS)
    policy.parameters[0].register_hook(lambda gradient: gradient * math.inf)
    values, moments = parameters_of(policy), moments_of(policy)
    result = step(policy, rollout)
    assert math.isfinite(result.update.loss)
    assert_unchanged(policy, values, moments)
    assert result.update.is_non_finite
    assert "gradient norm inf" in (result.update.skipped or "")  # seen before the optimizer moved, not after


def test_a_non_finite_step_goes_back_to_before_the_last_update_adam_included() -> None:
    policy = tiny_policy(PLAIN, moved=True)
    step(policy, sampled_rollout(policy, REWARDS), number=1)
    values, moments = parameters_of(policy), moments_of(policy)
    step(policy, sampled_rollout(policy, REWARDS), number=2)
    step(policy, change_logprobs(sampled_rollout(policy, REWARDS), math.nan), number=3)
    assert_unchanged(policy, values, moments)


def test_an_update_that_makes_the_adapter_non_finite_is_taken_back() -> None:
    policy = tiny_policy(PLAIN, moved=True)
    rollout = sampled_rollout(policy, REWARDS)
    values, moments = parameters_of(policy), moments_of(policy)
    policy.optimizer.register_step_post_hook(lambda *_: policy.parameters[0].data.fill_(math.nan))
    result = step(policy, rollout)
    assert_unchanged(policy, values, moments)
    assert result.update.skipped == "the update made parameters non-finite"
    assert result.update.is_non_finite


def test_the_kl_is_zero_while_the_policy_is_still_its_reference() -> None:
    config = PLAIN.model_copy(update={"beta": 0.1})
    policy = tiny_policy(config)
    assert step(policy, sampled_rollout(policy, REWARDS), config).update.kl_sum == 0.0


def test_the_kl_is_zero_at_a_starting_adapter_and_not_against_the_base(tmp_path: Path) -> None:
    config = PLAIN.model_copy(update={"beta": 0.1})
    tiny_policy(config, moved=True).model.save_pretrained(tmp_path)
    policy = tiny_policy(config, init_from=tmp_path)
    assert step(policy, sampled_rollout(policy, REWARDS), config).update.kl_sum == pytest.approx(0.0, abs=1e-6)
    moved = tiny_policy(config, moved=True)
    assert (step(moved, sampled_rollout(moved, REWARDS), config).update.kl_sum or 0) > 0.01


def test_no_reference_runs_without_a_kl_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Policy, "as_reference", lambda _: pytest.fail("the reference ran"))
    policy = tiny_policy(PLAIN, moved=True)
    assert step(policy, sampled_rollout(policy, REWARDS)).update.kl_sum is None


def test_the_kl_penalty_alone_pulls_the_policy_towards_its_reference() -> None:
    # A tiny advantage keeps the step alive; the penalty outweighs it by far.
    config = PLAIN.model_copy(update={"beta": 10.0, "advantage": "none", "learning_rate": 1e-3})
    policy = tiny_policy(config)
    move(policy, size=0.05)
    rollout = sampled_rollout(policy, [[1e-6, 0.0, 0.0, 0.0]] * 3)
    first = step(policy, rollout, config, number=1).update
    second = step(policy, rollout, config, number=2).update
    assert second.kl_sum is not None
    assert first.kl_sum is not None
    assert second.kl_sum < first.kl_sum
    assert (first.tokens, second.tokens) == (sum(len(c.token_ids) for g in rollout.groups for c in g.completions),) * 2
