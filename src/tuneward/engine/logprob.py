"""Log-probs of chosen tokens from logits, without ever storing a log-softmax."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_ROWS, GPU_CHUNK_ROWS = 4, 512
"""Rows worked on together: on a CPU, passes over some hundred thousand numbers stay in its caches; on a GPU, fp32
copies of half-precision logits stay small beside them."""


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
    """Forward and backward in the logits' own memory, a few rows at a time: logits are the largest tensor of a step."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, rows: Tensor, tokens: Tensor, temperature: float) -> Tensor:
        normaliser = torch.cat([torch.logsumexp(_scaled(part, temperature), dim=-1) for part in _chunks(logits)])
        ctx.save_for_backward(logits, normaliser, rows, tokens)
        ctx.temperature = temperature
        return logits[rows, tokens].to(normaliser.dtype) / temperature - normaliser[rows]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        logits, normaliser, rows, tokens = ctx.saved_tensors
        row_grad = torch.zeros_like(normaliser).index_add_(0, rows, grad).div_(-ctx.temperature)
        with torch.no_grad():
            for part, per_row, scale in zip(_chunks(logits), _chunks(normaliser), _chunks(row_grad), strict=True):
                work = _scaled(part, ctx.temperature)
                part.copy_(work.sub_(per_row[:, None]).exp_().mul_(scale[:, None]))
            logits.index_put_((rows, tokens), (grad / ctx.temperature).to(logits.dtype), accumulate=True)
        return logits, None, None, None


def _chunks(rows: Tensor) -> tuple[Tensor, ...]:
    """Parts of at most that many rows; views."""
    return torch.split(rows, CHUNK_ROWS if rows.device.type == "cpu" else GPU_CHUNK_ROWS)


def _scaled(logits: Tensor, temperature: float) -> Tensor:
    """A copy of logits / temperature in fp32 or better."""
    precise = logits.double() if logits.dtype == torch.float64 else logits.float()
    return precise / temperature
