"""Attention over a token tree: prefill and training.

The nodes are cut into blocks of consecutive queries. In preorder everything a block sees is its first node's
ancestors plus the block itself, so the cost is n · (depth + block) and never n².
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tuneward.engine.attention import LayerScores, probabilities
from tuneward.engine.tree import TokenTree

BLOCK = 128
"""Queries per block: large enough for efficient products, small enough to see little in vain."""


@dataclass(frozen=True, slots=True)
class _Block:
    start: int
    stop: int
    keys: Tensor
    """[m] nodes the block may see, ancestors first, then the block's own."""
    visible: Tensor
    """[queries, m] boolean."""
    distance: Tensor
    """[queries, m] query position minus key position."""


class TreePlan:
    """Plan of one packed forward pass over a whole tree, with gradients.

    Args:
        tree: the tokens.
        device: where the model is.
        keep: store each layer's keys and values here ([key heads, n, size] each), for a decode pass to use.
    """

    def __init__(self, tree: TokenTree, device: torch.device, keep: dict[int, tuple[Tensor, Tensor]] | None = None):
        self.keep = keep
        self._device = device
        self._blocks = [self._block(tree, start) for start in range(0, len(tree), BLOCK)]
        self._masks: dict[int | None, list[Tensor]] = {}

    def _block(self, tree: TokenTree, start: int) -> _Block:
        stop = min(start + BLOCK, len(tree))
        keys = np.concatenate([tree.ancestors(start), np.arange(start, stop)])
        queries = np.arange(start, stop)[:, None]
        visible = (keys <= queries) & (queries < tree.subtree_end[keys])
        distance = tree.positions[queries] - tree.positions[keys]
        on = self._device
        return _Block(
            start,
            stop,
            torch.from_numpy(keys).to(on),
            torch.from_numpy(visible).to(on),
            torch.from_numpy(distance).to(on),
        )

    def masks(self, window: int | None, dtype: torch.dtype) -> list[Tensor]:
        """Additive masks of all blocks for a window; made once and shared by all layers."""
        if window not in self._masks:
            self._masks[window] = [
                torch.zeros(block.visible.shape, dtype=dtype, device=self._device).masked_fill_(
                    ~block.visible if window is None else ~(block.visible & (block.distance < window)), -torch.inf
                )
                for block in self._blocks
            ]
        return self._masks[window]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scores: LayerScores) -> Tensor:
        """See `Plan.attend`."""
        if self.keep is not None:
            self.keep[layer] = (k.detach(), v.detach())
        score_dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
        masks = self.masks(scores.window, score_dtype)
        out: Tensor = _TreeAttention.apply(q, k, v, scores.sinks, self._blocks, masks, scores)  # type: ignore[no-untyped-call]
        return out.transpose(0, 1)


def _grouped(q: Tensor, key_heads: int, start: int, stop: int) -> Tensor:
    """Queries of a block, gathered under their key head: [key heads, queries per key head · block, size]."""
    heads, _, size = q.shape
    return q[:, start:stop].reshape(key_heads, heads // key_heads * (stop - start), size)


class _TreeAttention(torch.autograd.Function):
    """Blockwise attention that recomputes its probabilities in the backward pass instead of storing them."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        sinks: Tensor | None,
        blocks: list[_Block],
        masks: list[Tensor],
        scores: LayerScores,
    ) -> Tensor:
        out = q.new_empty(q.shape[0], q.shape[1], v.shape[-1])
        for block, mask in zip(blocks, masks, strict=True):
            keys, values = k[:, block.keys], v[:, block.keys]
            queries = _grouped(q, k.shape[0], block.start, block.stop)
            weights = _weights(queries, keys, mask, scores, sinks)
            out[:, block.start : block.stop] = (weights.to(v.dtype) @ values).view(q.shape[0], -1, v.shape[-1])
        ctx.save_for_backward(q, k, v, sinks, out)
        ctx.blocks, ctx.masks, ctx.scores = blocks, masks, scores
        return out

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, sinks, out = ctx.saved_tensors
        grad_q, grad_k, grad_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        grad_sinks = torch.zeros_like(sinks) if sinks is not None and ctx.needs_input_grad[3] else None
        scores: LayerScores = ctx.scores
        for block, mask in zip(ctx.blocks, ctx.masks, strict=True):
            span = slice(block.start, block.stop)
            keys, values = k[:, block.keys], v[:, block.keys]
            queries = _grouped(q, k.shape[0], block.start, block.stop)
            weights = _weights(queries, keys, mask, scores, sinks)
            upstream = _grouped(grad_out, k.shape[0], block.start, block.stop)
            answer = _grouped(out, k.shape[0], block.start, block.stop)
            # d softmax: p · (dp - Σ p dp), and Σ p dp is the product of the output with its own gradient.
            inner = (upstream.to(weights.dtype) * answer).sum(-1, keepdim=True)
            grad_scores = (upstream @ values.transpose(1, 2)).to(weights.dtype).sub_(inner).mul_(weights)
            if grad_sinks is not None:
                grad_sinks += _sink_gradient(queries, keys, mask, scores, sinks, inner)
            if scores.softcap is not None:
                capped = torch.tanh(
                    (queries @ keys.transpose(1, 2)).to(weights.dtype) * (scores.scaling / scores.softcap)
                )
                grad_scores.mul_(1 - capped * capped)
            grad_scores = grad_scores.mul_(scores.scaling).to(q.dtype)
            grad_q[:, span] = (grad_scores @ keys).view(q.shape[0], -1, q.shape[-1])
            grad_k.index_add_(1, block.keys, grad_scores.transpose(1, 2) @ queries)
            grad_v.index_add_(1, block.keys, weights.to(v.dtype).transpose(1, 2) @ upstream)
        return grad_q, grad_k, grad_v, grad_sinks, None, None, None


def _weights(queries: Tensor, keys: Tensor, mask: Tensor, scores: LayerScores, sinks: Tensor | None) -> Tensor:
    """[key heads, queries per key head · block, keys] attention probabilities."""
    key_heads, rows, _ = queries.shape
    raw = (queries @ keys.transpose(1, 2)).view(key_heads, -1, *mask.shape)
    per_head = None if sinks is None else sinks.view(key_heads, -1, 1, 1)
    return probabilities(raw, mask, scores, per_head).view(key_heads, rows, -1)


def _sink_gradient(
    queries: Tensor, keys: Tensor, mask: Tensor, scores: LayerScores, sinks: Tensor, inner: Tensor
) -> Tensor:
    """[query heads] gradient of the sink logits: its probability p0 takes -p0 · Σ p dp."""
    weights = _weights(queries, keys, mask, scores, sinks)
    taken = 1 - weights.sum(-1, keepdim=True)
    return -(taken * inner).view(len(sinks), -1).sum(-1).to(sinks.dtype)
