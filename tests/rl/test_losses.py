"""Policy losses and KL estimators. Golden numbers: an independent numpy computation in double precision."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tuneward.config import LossName, TrainingConfig
from tuneward.rl.kl import k1, k2, k3
from tuneward.rl.losses import LOSSES, LossBatch, StepTotals

OLD = [[-1, -0.5], [-0.2, -1.5, -0.7, -0.3], [-2], [-0.4, -0.4, -1]]
NEW = [[-0.6, -0.5], [-0.6, -1.5, -0.5, -0.3], [-1.5], [-0.5, -0.1, -1]]
ADVANTAGE = [0.865875, -0.865875, -0.865875, 0.865875]
TOTALS = StepTotals(tokens=10, sequences=4, max_completion_tokens=8)
TOKEN_LOSSES: list[LossName] = ["dapo", "grpo", "dr_grpo"]
ALL: list[LossName] = ["dapo", "grpo", "dr_grpo", "gspo", "cispo"]


def make_batch(new: Sequence[Sequence[float]], old: Sequence[Sequence[float]], advantage: Sequence[float]) -> LossBatch:
    lengths = torch.tensor([len(row) for row in new])
    sequence = torch.repeat_interleave(torch.arange(len(new)), lengths)

    def flat(rows: Sequence[Sequence[float]]) -> Tensor:
        return torch.tensor([value for row in rows for value in row], dtype=torch.float64)

    return LossBatch(
        flat(new).requires_grad_(),
        flat(old),
        torch.tensor(advantage, dtype=torch.float64)[sequence],
        sequence,
        lengths.double(),
    )


def golden() -> LossBatch:
    return make_batch(NEW, OLD, ADVANTAGE)


def config(loss: LossName, high: float = 0.2, **changes: float) -> TrainingConfig:
    return TrainingConfig(loss=loss, epsilon_high=high, **changes)  # type: ignore[arg-type]


def value_and_gradient(
    batch: LossBatch, loss: LossName, settings: TrainingConfig | None = None
) -> tuple[float, Tensor]:
    share = LOSSES[loss](batch, TOTALS, settings or config(loss))
    (gradient,) = torch.autograd.grad(share.loss, batch.logp)
    return float(share.loss.detach()), gradient


@pytest.mark.parametrize(
    ("loss", "high", "expected"),
    [
        ("grpo", 0.2, 0.112375),
        ("dapo", 0.2, 0.031629),
        ("dr_grpo", 0.2, 0.009884),
        ("grpo", 0.28, 0.097943),
        ("dapo", 0.28, 0.017775),
        ("dr_grpo", 0.28, 0.005555),
        ("gspo", 0.2, 0.071654),
        ("cispo", 0.2, -0.199452),
    ],
)
def test_golden_loss_values(loss: LossName, high: float, expected: float) -> None:
    share = LOSSES[loss](golden(), TOTALS, config(loss, high))
    assert float(share.loss.detach()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("loss", TOKEN_LOSSES)
def test_golden_clipped_share(loss: LossName) -> None:
    clipped = LOSSES[loss](golden(), TOTALS, config(loss)).clipped
    assert clipped.tolist() == [True, False, True, False, False, False, False, False, True, False]
    assert float(clipped.double().mean()) == pytest.approx(0.3)


def test_golden_gspo_ratios() -> None:
    # Without a clip the loss of one completion with advantage -1 is its ratio.
    free = TrainingConfig(loss="gspo", epsilon_low=1, epsilon_high=1e9)
    one = StepTotals(tokens=1, sequences=1, max_completion_tokens=8)
    ratios = [
        float(LOSSES["gspo"](make_batch([new], [old], [-1.0]), one, free).loss.detach())
        for new, old in zip(NEW, OLD, strict=True)
    ]
    assert ratios == pytest.approx([1.221403, 0.951229, 1.648721, 1.068939], abs=1e-6)


def test_golden_kl_estimators() -> None:
    new = golden().logp.detach()
    ref = golden().sampler_logp - 0.1
    means = [float(estimator(new, ref).mean()) for estimator in (k1, k2, k3)]
    assert means == pytest.approx([0.19, 0.0495, 0.043569], abs=1e-6)


@given(st.floats(-20, 0), st.floats(-20, 0))
def test_k3_is_not_negative_beyond_rounding(logp: float, ref: float) -> None:
    value = float(k3(torch.tensor(logp, dtype=torch.float64), torch.tensor(ref, dtype=torch.float64)))
    assert value >= -1e-15


def test_the_gradient_of_k2_is_the_log_ratio() -> None:
    logp = torch.tensor([-1.0, -0.2], dtype=torch.float64, requires_grad=True)
    ref = torch.tensor([-0.7, -0.9], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(k2(logp, ref).sum(), logp)
    torch.testing.assert_close(gradient, (logp - ref).detach())


@pytest.mark.parametrize("loss", ALL)
def test_on_policy_every_gradient_is_minus_the_advantage_over_the_denominator(loss: LossName) -> None:
    batch = make_batch(OLD, OLD, ADVANTAGE)
    per_token = {
        "dapo": torch.full((10,), 10.0),
        "cispo": torch.full((10,), 10.0),
        "dr_grpo": torch.full((10,), 32.0),
        "grpo": 4 * batch.lengths[batch.sequence],
        "gspo": 4 * batch.lengths[batch.sequence],
    }[loss].double()
    _, gradient = value_and_gradient(batch, loss)
    torch.testing.assert_close(gradient, -batch.advantage / per_token, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", TOKEN_LOSSES)
def test_no_gradient_passes_where_the_clip_is_reported_and_some_passes_everywhere_else(loss: LossName) -> None:
    batch = golden()
    clipped = LOSSES[loss](batch, TOTALS, config(loss)).clipped
    _, gradient = value_and_gradient(batch, loss)
    assert torch.equal(gradient == 0, clipped)


def test_gspo_clips_whole_completions() -> None:
    # Ratios 1.221 with A > 0 is above 1.2; 1.649 with A < 0 is not held back; the others are inside.
    share = LOSSES["gspo"](golden(), TOTALS, config("gspo"))
    assert share.clipped.tolist() == [True] * 2 + [False] * 8


floats = st.floats(-3, -0.01)
cases = st.lists(
    st.tuples(
        st.lists(st.tuples(floats, st.floats(-1.5, 1.5)), min_size=1, max_size=4),
        st.sampled_from([-1.3, -0.4, 0.6, 2.0]),
    ),
    min_size=1,
    max_size=4,
)


def batch_of(case: list[tuple[list[tuple[float, float]], float]]) -> LossBatch:
    old = [[value for value, _ in row] for row, _ in case]
    new = [[value + shift for value, shift in row] for row, _ in case]
    return make_batch(new, old, [advantage for _, advantage in case])


def is_near_a_kink(batch: LossBatch, settings_: TrainingConfig) -> bool:
    log_ratio = (batch.logp - batch.sampler_logp).detach()
    means = torch.zeros_like(batch.lengths).index_add(0, batch.sequence, log_ratio) / batch.lengths
    ratios = torch.cat([log_ratio, means]).exp()
    kinks = (1 - settings_.epsilon_low, 1 + settings_.epsilon_high)
    return any(bool(((ratios - kink).abs() < 1e-3).any()) for kink in kinks)


@settings(deadline=None)
@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo", "gspo"])
@given(case=cases)
def test_gradients_equal_finite_differences(
    loss: LossName, case: list[tuple[list[tuple[float, float]], float]]
) -> None:
    batch, chosen = batch_of(case), config(loss, 0.28)
    if is_near_a_kink(batch, chosen):
        return
    _, gradient = value_and_gradient(batch, loss, chosen)
    step = 1e-6
    for token in range(len(batch.logp)):
        sides = []
        for sign in (1, -1):
            moved = batch.logp.detach().clone()
            moved[token] += sign * step
            sides.append(float(LOSSES[loss](dataclasses.replace(batch, logp=moved), TOTALS, chosen).loss))
        assert float(gradient[token]) == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5, abs=1e-8)


@settings(deadline=None)
@given(case=cases)
def test_the_gradient_of_cispo_treats_the_bounded_ratio_as_a_constant(
    case: list[tuple[list[tuple[float, float]], float]],
) -> None:
    batch, chosen = batch_of(case), config("cispo", cispo_epsilon_max=1.5)
    value, gradient = value_and_gradient(batch, "cispo", chosen)
    logp = batch.logp.detach()
    weight = (logp - batch.sampler_logp).exp().clamp(max=1.5)
    torch.testing.assert_close(gradient, -weight * batch.advantage / TOTALS.tokens)
    assert value == pytest.approx(float((-weight * batch.advantage * logp).sum() / TOTALS.tokens))


def test_cispo_reports_ratios_above_its_ceiling_and_keeps_their_gradient() -> None:
    batch = make_batch([[-0.1, -1.0]], [[-3.0, -1.0]], [1.0])
    share = LOSSES["cispo"](batch, TOTALS, config("cispo", cispo_epsilon_max=5.0))
    (gradient,) = torch.autograd.grad(share.loss, batch.logp)
    assert share.clipped.tolist() == [True, False]
    assert gradient.tolist() == pytest.approx([-0.5, -0.1])


@settings(deadline=None)
@pytest.mark.parametrize("loss", ALL)
@given(case=cases, cut=st.integers(0, 3))
def test_the_shares_of_micro_batches_add_up_to_the_whole(
    loss: LossName, case: list[tuple[list[tuple[float, float]], float]], cut: int
) -> None:
    value, gradient = value_and_gradient(batch_of(case), loss)
    parts = [part for part in (case[:cut], case[cut:]) if part]
    results = [value_and_gradient(batch_of(part), loss) for part in parts]
    assert sum(part for part, _ in results) == pytest.approx(value, rel=1e-12, abs=1e-12)
    torch.testing.assert_close(torch.cat([part for _, part in results]), gradient, rtol=1e-12, atol=1e-12)
