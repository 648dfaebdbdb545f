"""Selected log-probs against log_softmax and gather."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tuneward.engine.logprob import selected_logprobs


def plain(logits: Tensor, rows: Tensor, tokens: Tensor, temperature: float) -> Tensor:
    return (logits / temperature).log_softmax(-1)[rows].gather(-1, tokens[:, None])[:, 0]


@settings(deadline=None)
@given(
    seed=st.integers(0, 1000),
    vocabulary=st.integers(1, 40),
    count=st.integers(1, 4),
    picks=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 39)), min_size=1, max_size=12),
    temperature=st.sampled_from([0.3, 1.0, 2.5]),
)
def test_value_and_gradient_equal_log_softmax_and_gather(
    seed: int, vocabulary: int, count: int, picks: list[tuple[int, int]], temperature: float
) -> None:
    stream = torch.Generator().manual_seed(seed)
    logits = (torch.randn(count, vocabulary, generator=stream, dtype=torch.float64) * 4).requires_grad_()
    rows = torch.tensor([row % count for row, _ in picks])  # rows repeat, and so do (row, token) pairs
    tokens = torch.tensor([token % vocabulary for _, token in picks])
    weight = torch.randn(len(picks), generator=stream, dtype=torch.float64)
    expected = plain(logits, rows, tokens, temperature)
    (gradient,) = torch.autograd.grad((expected * weight).sum(), logits)

    ours = selected_logprobs(logits.clone(), rows, tokens, temperature)
    (our_gradient,) = torch.autograd.grad((ours * weight).sum(), logits)

    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(our_gradient, gradient, rtol=1e-12, atol=1e-12)


def test_a_row_that_nobody_asks_for_gets_no_gradient() -> None:
    logits = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    ours = selected_logprobs(logits.clone(), torch.tensor([0, 2]), torch.tensor([1, 1]), 1.0)
    (gradient,) = torch.autograd.grad(ours.sum(), logits)
    assert not gradient[1].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_log_probs_are_single_precision_whatever_the_logits_are(dtype: torch.dtype) -> None:
    logits = (torch.randn(2, 50, generator=torch.Generator().manual_seed(0)) * 5).to(dtype).requires_grad_()
    rows, tokens = torch.tensor([0, 1, 1]), torch.tensor([3, 4, 49])
    ours = selected_logprobs(logits.clone(), rows, tokens, 0.7)
    (gradient,) = torch.autograd.grad(ours.sum(), logits)
    exact = plain(logits.detach().double(), rows, tokens, 0.7)
    assert ours.dtype == torch.float32
    assert gradient.dtype == dtype
    torch.testing.assert_close(ours.double(), exact, rtol=1e-6, atol=1e-5)


def test_logits_of_any_size_do_not_overflow() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0]])
    ours = selected_logprobs(logits, torch.tensor([0, 0]), torch.tensor([0, 1]), 0.5)
    assert ours.tolist() == [0.0, -4e4]


def test_a_forbidden_token_leaves_values_and_gradients_finite() -> None:
    logits = torch.tensor([[1.0, -torch.inf, 0.5]], requires_grad=True)
    ours = selected_logprobs(logits.clone(), torch.tensor([0]), torch.tensor([0]), 1.0)
    (gradient,) = torch.autograd.grad(ours.sum(), logits)
    assert torch.isfinite(ours).all()
    assert torch.isfinite(gradient).all()
    assert gradient[0, 1] == 0
