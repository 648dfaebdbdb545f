"""Masking of completions on which sampler and policy disagree. Golden numbers: by hand, shown where they are used."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from tests.rl.test_losses import make_batch
from tests.rl.test_step import PLAIN, REWARDS, assert_unchanged, step
from tests.rollouts import change_logprobs, moments_of, parameters_of, sampled_rollout, tiny_policy

from tuneward.config import LossName, TrainingConfig, parse_config
from tuneward.rl.losses import LOSSES, LossBatch, StepTotals
from tuneward.rl.mismatch import mask_mismatch

# Log-ratios by token: 0.5 0.6 | 0.3 0.3 0.4 | -2.5; by completion: 1.1, 1.0, -2.5; ratios 3.004, 2.718, 0.082.
NEW = [[-0.5, -0.5], [-1.0, -1.0, -1.0], [-3.0]]
OLD = [[-1.0, -1.1], [-1.3, -1.3, -1.4], [-0.5]]
ADVANTAGE = [1.0, -1.0, 2.0]
TOTALS = StepTotals(tokens=10, sequences=4, max_completion_tokens=8)
ALL: list[LossName] = ["dapo", "dr_grpo", "grpo", "gspo", "cispo"]


def batch() -> LossBatch:
    return make_batch(NEW, OLD, ADVANTAGE)


def loss_and_gradient(of: LossBatch, logp: torch.Tensor, loss: LossName) -> tuple[float, list[float]]:
    share = LOSSES[loss](of, TOTALS, TrainingConfig(loss=loss)).loss
    (gradient,) = torch.autograd.grad(share, logp)
    return float(share.detach()), gradient.tolist()


def test_a_completion_is_masked_when_the_product_of_its_ratios_exceeds_the_limit() -> None:
    for limit, masked in ((3.005, [0, 0, 0]), (3.0, [1, 0, 0]), (2.72, [1, 0, 0]), (2.71, [1, 1, 0])):
        kept, count = mask_mismatch(batch(), limit)
        assert count == sum(masked)
        expected = [0.0 if masked[i] else ADVANTAGE[i] for i in (0, 0, 1, 1, 1, 2)]
        assert kept.advantage.tolist() == expected


def test_the_masked_loss_is_the_sum_over_the_others_by_the_whole_steps_tokens() -> None:
    # Second completion, A = -1: -min(-ρ, -clip(ρ)) = ρ: 1.349859 + 1.349859 + 1.491825 = 4.191542.
    # Third, A = 2: -min(2 · 0.082085, 2 · 0.8) = -0.164170. Their sum by 10 tokens: 0.402737.
    given = batch()
    kept, _ = mask_mismatch(given, 3.0)
    value, gradient = loss_and_gradient(kept, given.logp, "dapo")
    assert value == pytest.approx(0.4027372, abs=1e-6)
    assert gradient == pytest.approx([0, 0, 0.1349859, 0.1349859, 0.1491825, -0.0164170], abs=1e-6)


@pytest.mark.parametrize("loss", ALL)
def test_no_loss_sees_a_masked_completion_and_the_others_count_as_before(loss: LossName) -> None:
    given = batch()
    kept, _ = mask_mismatch(given, 3.0)
    _, masked = loss_and_gradient(kept, given.logp, loss)
    _, whole = loss_and_gradient(given, given.logp, loss)
    assert masked[:2] == [0, 0]
    assert masked[2:] == whole[2:]


@pytest.mark.parametrize("loss", ALL)
def test_a_ratio_beyond_all_numbers_is_masked_without_a_trace(loss: LossName) -> None:
    given = make_batch(NEW, [[-2000.0, -2000.0], *OLD[1:]], ADVANTAGE)
    kept, count = mask_mismatch(given, 3.0)
    value, gradient = loss_and_gradient(kept, given.logp, loss)
    assert count == 1
    assert math.isfinite(value)
    assert all(map(math.isfinite, gradient))


def test_the_limit_has_no_gradient_and_none_masks_nothing() -> None:
    given = batch()
    kept, count = mask_mismatch(given, None)
    assert kept is given
    assert count is None
    assert not mask_mismatch(given, 3.0)[0].sampler_logp.requires_grad


def test_nan_is_not_masked_away() -> None:
    kept, count = mask_mismatch(make_batch(NEW, [[math.nan, -1.0], *OLD[1:]], ADVANTAGE), 3.0)
    assert count == 0
    assert math.isnan(float(LOSSES["dapo"](kept, TOTALS, TrainingConfig()).loss.detach()))


def test_a_step_counts_what_it_masks_and_learns_from_the_rest_alike_in_any_split() -> None:
    config = PLAIN.model_copy(update={"mismatch_max_ratio": 3.0})
    results = []
    for budget in (100_000, 1):
        policy = tiny_policy(config, moved=True)
        rollout = change_logprobs(sampled_rollout(policy, REWARDS), -50.0)  # of the first completion alone
        update = step(policy, rollout, config, budget=budget).update
        assert update.masked == 1
        assert update.mismatch_max > 40  # measured all the same
        results.append(torch.cat([p.flatten() for p in parameters_of(policy)]))
    assert torch.allclose(results[0], results[1], atol=1e-6)
    plain = tiny_policy(PLAIN, moved=True)
    assert step(plain, sampled_rollout(plain, REWARDS)).update.masked is None


def test_a_step_whose_completions_are_all_masked_changes_nothing() -> None:
    config = PLAIN.model_copy(update={"mismatch_max_ratio": 3.0})
    policy = tiny_policy(config, moved=True)
    step(policy, sampled_rollout(policy, REWARDS), config)  # Adam has moments that would move the adapter
    rollout = sampled_rollout(policy, [[1.0, 0.0]])
    far = tuple(dataclasses.replace(c, logprobs=(-50.0,) * len(c.token_ids)) for c in rollout.groups[0].completions)
    rollout = dataclasses.replace(rollout, groups=(dataclasses.replace(rollout.groups[0], completions=far),))
    values, moments = parameters_of(policy), moments_of(policy)
    update = step(policy, rollout, config, number=2).update
    assert_unchanged(policy, values, moments)
    assert update.skipped == "every completion was masked for its mismatch"
    assert not update.is_non_finite
    assert all(parameter.grad is None for parameter in policy.parameters)


@pytest.mark.parametrize(
    ("tree", "limit"),
    [
        ({}, None),
        ({"rollout": {"engine": "vllm"}}, 3.0),
        ({"rollout": {"engine": "vllm"}, "training": {"mismatch_max_ratio": None}}, None),
        ({"rollout": {"engine": "vllm"}, "training": {"mismatch_max_ratio": 5}}, 5.0),
        ({"training": {"mismatch_max_ratio": 2}}, 2.0),
    ],
)
def test_the_limit_is_3_where_vllm_samples_unless_it_is_given(tree: dict[str, Any], limit: float | None) -> None:
    config = parse_config({"data": {"train": "t"}, "reward": {"file": "r"}} | tree)
    assert config.training.mismatch_max_ratio == limit
    again = parse_config(config.model_dump(mode="json"))  # as a resumed run reads it
    assert again.training.mismatch_max_ratio == limit
