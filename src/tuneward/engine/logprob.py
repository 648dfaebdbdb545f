"""Log-probs of chosen tokens from logits, without ever storing a log-softmax."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def selected_logprobs(logits: Tensor, rows: Tensor, tokens: Tensor, temperature: float) -> Tensor:
    """log softmax(logits / temperature)[rows, tokens], differentiable.

    Args:
        logits: [r, vocabulary]; used up: the backward pass writes its gradient over them.
        rows: [m] int64 row of each wanted token.
        tokens: [m] int64.
        temperature: > 0; the sampler's.

    Returns:
        [m] log-probs in nats, fp32 (fp64 for fp64 logits).
    """
    out: Tensor = _SelectedLogprobs.apply(logits, rows, tokens, temperature)  # type: ignore[no-untyped-call]
    return out


class _SelectedLogprobs(torch.autograd.Function):
    """One pass over the logits forward, one backward, in their own memory: logits are the largest tensor of a step."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, rows: Tensor, tokens: Tensor, temperature: float) -> Tensor:
        scaled = logits if logits.dtype == torch.float64 else logits.float()
        normaliser = torch.logsumexp(scaled / temperature if temperature != 1 else scaled, dim=-1)
        ctx.save_for_backward(logits, normaliser, rows, tokens)
        ctx.temperature = temperature
        return scaled[rows, tokens] / temperature - normaliser[rows]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        logits, normaliser, rows, tokens = ctx.saved_tensors
        row_grad = torch.zeros_like(normaliser).index_add_(0, rows, grad)
        work = logits if logits.dtype == normaliser.dtype else logits.float()
        with torch.no_grad():
            work.div_(ctx.temperature).sub_(normaliser[:, None]).exp_().mul_(-row_grad[:, None])
            work.index_put_((rows, tokens), grad, accumulate=True)
            work.div_(ctx.temperature)
        return work.to(logits.dtype), None, None, None
