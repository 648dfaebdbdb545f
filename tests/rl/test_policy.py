"""The policy: learning rate, update and way back, and the reference."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.rollouts import BareEngine, moments_of, move, parameters_of, tiny_policy
from torch import Tensor

from tuneward.config import TrainingConfig
from tuneward.rl.policy import Policy

PAIRS = [((5, 9, 3), (7, 8, 2)), ((5, 9, 3), (7, 11, 12))]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def logprobs(policy: Policy) -> Tensor:
    with torch.no_grad():
        return BareEngine(policy.packed).logprobs(PAIRS, 1.0)


def give_gradients(policy: Policy, value: float = 1.0) -> None:
    for index, parameter in enumerate(policy.parameters):
        parameter.grad = torch.full_like(parameter, value * (1 + index))


def assert_equal(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


def rates(total: int, **changes: object) -> list[float]:
    policy = tiny_policy(TrainingConfig(learning_rate=0.1, **changes), total_steps=total)  # type: ignore[arg-type]
    return [policy.learning_rate(step) for step in range(1, total + 1)]


def test_the_constant_rate_rises_over_the_warm_up_and_stays() -> None:
    assert rates(5, warmup_steps=2) == pytest.approx([0.05, 0.1, 0.1, 0.1, 0.1])


def test_the_linear_rate_falls_to_zero_at_the_last_step() -> None:
    assert rates(6, lr_schedule="linear", warmup_steps=2) == pytest.approx([0.05, 0.1, 0.075, 0.05, 0.025, 0.0])


def test_the_cosine_rate_is_half_in_the_middle_and_zero_at_the_last_step() -> None:
    assert rates(4, lr_schedule="cosine") == pytest.approx([0.0853553, 0.05, 0.0146447, 0.0], abs=1e-7)


def test_a_warm_up_longer_than_the_run_never_reaches_the_full_rate() -> None:
    assert rates(3, warmup_steps=4, lr_schedule="cosine") == pytest.approx([0.025, 0.05, 0.075])


def test_the_optimizer_moves_by_the_rate_of_the_step() -> None:
    # Adam's first step is the learning rate in the direction of the gradient's sign.
    policy = tiny_policy(TrainingConfig(learning_rate=0.1, warmup_steps=4))
    before = parameters_of(policy)
    give_gradients(policy)
    policy.update(1)
    for old, new in zip(before, policy.parameters, strict=True):
        torch.testing.assert_close(new.detach(), old - 0.025, rtol=0, atol=1e-6)


def test_only_the_adapter_is_trained() -> None:
    policy = tiny_policy(TrainingConfig())
    trained = {name for name, parameter in policy.model.named_parameters() if parameter.requires_grad}
    assert len(trained) == len(policy.parameters)
    assert all(".lora_" in name for name in trained)


def test_clipping_returns_the_norm_before_it_and_leaves_the_configured_one() -> None:
    policy = tiny_policy(TrainingConfig(max_grad_norm=0.5))
    give_gradients(policy)
    before = torch.cat([p.grad.flatten() for p in policy.parameters if p.grad is not None]).norm()
    assert policy.clip_gradients() == pytest.approx(float(before))
    after = torch.cat([p.grad.flatten() for p in policy.parameters if p.grad is not None]).norm()
    assert float(after) == pytest.approx(0.5, rel=1e-4)


def test_an_update_leaves_no_gradients_behind() -> None:
    policy = tiny_policy(TrainingConfig())
    give_gradients(policy)
    policy.update(1)
    assert all(parameter.grad is None for parameter in policy.parameters)


def test_rolling_back_restores_parameters_and_both_moments_of_adam() -> None:
    policy = tiny_policy(TrainingConfig(learning_rate=0.1))
    give_gradients(policy)
    policy.update(1)
    values, moments = parameters_of(policy), moments_of(policy)
    give_gradients(policy, -3.0)
    policy.update(2)

    policy.roll_back()

    assert_equal(parameters_of(policy), values)
    for now, then in zip(moments_of(policy), moments, strict=True):
        assert set(now) == {"step", "exp_avg", "exp_avg_sq"}
        assert_equal(list(now.values()), [then[name] for name in now])


def test_after_rolling_back_the_next_update_is_as_if_the_bad_one_had_not_been() -> None:
    straight, detour = (tiny_policy(TrainingConfig(learning_rate=0.1)) for _ in range(2))
    for policy in (straight, detour):
        give_gradients(policy)
        policy.update(1)
    give_gradients(detour, float("nan"))
    detour.update(2)
    assert not detour.is_finite()
    detour.roll_back()
    for policy in (straight, detour):
        give_gradients(policy, 0.5)
        policy.update(3)
    assert_equal(parameters_of(detour), parameters_of(straight))


def test_rolling_back_the_first_update_leaves_adam_without_moments() -> None:
    policy = tiny_policy(TrainingConfig())
    before = parameters_of(policy)
    give_gradients(policy)
    policy.update(1)
    policy.roll_back()
    assert_equal(parameters_of(policy), before)
    assert moments_of(policy) == []


def test_rolling_back_twice_stays_at_the_same_place() -> None:
    policy = tiny_policy(TrainingConfig())
    before = parameters_of(policy)
    give_gradients(policy)
    policy.update(1)
    policy.roll_back()
    policy.roll_back()
    assert_equal(parameters_of(policy), before)


def test_rolling_back_before_any_update_only_drops_gradients() -> None:
    policy = tiny_policy(TrainingConfig())
    before = parameters_of(policy)
    give_gradients(policy)
    policy.roll_back()
    assert_equal(parameters_of(policy), before)
    assert all(parameter.grad is None for parameter in policy.parameters)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_bad_number_makes_the_policy_non_finite(value: float) -> None:
    policy = tiny_policy(TrainingConfig())
    assert policy.is_finite()
    with torch.no_grad():
        policy.parameters[3].view(-1)[-1] = value
    assert not policy.is_finite()


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """An adapter that has been trained a little."""
    policy = tiny_policy(TrainingConfig(), moved=True)
    policy.model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_the_policy_starts_as_the_base_model() -> None:
    policy = tiny_policy(TrainingConfig())
    ours = logprobs(policy)
    with policy.model.disable_adapter():
        assert torch.equal(ours, logprobs(policy))


def test_without_a_starting_adapter_the_reference_is_the_base_model() -> None:
    policy = tiny_policy(TrainingConfig())
    base = logprobs(policy)
    move(policy)
    moved = logprobs(policy)
    with policy.as_reference():
        inside = logprobs(policy)
    assert torch.equal(inside, base)
    assert not torch.allclose(moved, base, atol=1e-3)
    assert torch.equal(logprobs(policy), moved)


def test_with_a_starting_adapter_policy_and_reference_both_start_from_it(start: Path) -> None:
    trained = logprobs(tiny_policy(TrainingConfig(), moved=True))
    policy = tiny_policy(TrainingConfig(), init_from=start)
    torch.testing.assert_close(logprobs(policy), trained, rtol=0, atol=1e-6)
    with policy.as_reference():
        torch.testing.assert_close(logprobs(policy), trained, rtol=0, atol=1e-6)


def test_the_starting_adapter_stays_the_reference_while_the_policy_moves(start: Path) -> None:
    policy = tiny_policy(TrainingConfig(), init_from=start)
    first = logprobs(policy)
    give_gradients(policy)
    policy.update(1)
    moved = logprobs(policy)
    with policy.as_reference():
        assert torch.equal(logprobs(policy), first)
    assert not torch.allclose(moved, first, atol=1e-3)
    assert torch.equal(logprobs(policy), moved)


@pytest.mark.parametrize("has_start", [False, True])
def test_after_the_reference_exactly_the_policys_parameters_are_trainable_again(start: Path, has_start: bool) -> None:
    policy = tiny_policy(TrainingConfig(), init_from=start if has_start else None)
    names = {name for name, parameter in policy.model.named_parameters() if parameter.requires_grad}
    with policy.as_reference():
        pass
    after = {name for name, parameter in policy.model.named_parameters() if parameter.requires_grad}
    assert after == names
    assert all(".default." in name for name in after)
    assert [id(p) for p in policy.model.parameters() if p.requires_grad] == [id(p) for p in policy.parameters]


@pytest.mark.parametrize("has_start", [False, True])
def test_an_error_inside_the_reference_still_brings_the_policy_back(start: Path, has_start: bool) -> None:
    policy = tiny_policy(TrainingConfig(), init_from=start if has_start else None, moved=True)
    before = logprobs(policy)
    with pytest.raises(RuntimeError), policy.as_reference():
        raise RuntimeError
    assert torch.equal(logprobs(policy), before)
    assert all(parameter.requires_grad for parameter in policy.parameters)


@pytest.mark.parametrize("has_start", [False, True])
def test_a_reference_pass_between_forward_and_backward_leaves_the_gradient_alone(start: Path, has_start: bool) -> None:
    def gradient(visits_reference: bool) -> list[Tensor]:
        policy = tiny_policy(TrainingConfig(), init_from=start if has_start else None, moved=True)
        loss = BareEngine(policy.packed).logprobs(PAIRS, 1.0).square().sum()
        if visits_reference:
            with torch.no_grad(), policy.as_reference():
                BareEngine(policy.packed).logprobs(PAIRS, 1.0)
        loss.backward()  # type: ignore[no-untyped-call]
        return [parameter.grad.clone() for parameter in policy.parameters if parameter.grad is not None]

    plain = gradient(visits_reference=False)
    assert len(plain) > 0
    assert_equal(gradient(visits_reference=True), plain)
