"""Attention over a token tree on a GPU: one fused kernel that skips the blocks nobody sees.

Computes what `TreePlan` computes. In preorder node i sees node j exactly when j <= i < end(j), so which blocks of
queries see which blocks of keys follows from the least and the largest end of each block: no n × n mask is made.

Source: FlexAttention, arXiv 2412.05496.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, flex_attention

from tuneward.engine.attention import LayerScores, Plan
from tuneward.engine.tree import TokenTree
from tuneward.engine.tree_plan import TreePlan

BLOCK = 128
"""Queries and keys per block; the size FlexAttention's kernels are tuned for."""


def tree_attention(tree: TokenTree, device: torch.device, keep: dict[int, tuple[Tensor, Tensor]] | None = None) -> Plan:
    """The plan that is fastest on a device for one packed forward pass over a whole tree; see `TreePlan`."""
    return FlexTreePlan(tree, device, keep) if device.type == "cuda" else TreePlan(tree, device, keep)


class FlexTreePlan:
    """Plan of one packed forward pass over a whole tree, with gradients on CUDA.

    On a CPU it runs uncompiled and without gradients (FlexAttention has none there), which serves its tests.

    Args:
        tree: the tokens.
        device: where the model is.
        keep: store each layer's keys and values here ([key heads, n, size] each), for a decode pass to use.
    """

    def __init__(self, tree: TokenTree, device: torch.device, keep: dict[int, tuple[Tensor, Tensor]] | None = None):
        self.keep = keep
        self._tree = tree
        self._end = torch.from_numpy(tree.subtree_end).to(device, torch.int32)
        self._positions = torch.from_numpy(tree.positions).to(device, torch.int32)
        self._attention = _compiled() if device.type == "cuda" else flex_attention
        self._masks: dict[int | None, BlockMask] = {}

    def mask(self, window: int | None) -> BlockMask:
        """The block mask of a window; made once and shared by all layers."""
        if window not in self._masks:
            partial, full = visible_blocks(self._tree, window)
            on = self._end.device
            # A tensor and not the number, so that all windows and none share one compiled kernel.
            oldest = self._positions - (len(self._tree) if window is None else window)
            self._masks[window] = BlockMask.from_kv_blocks(
                *_listed(partial, on),
                *_listed(full, on),
                BLOCK_SIZE=BLOCK,
                mask_mod=_visibility(self._end, self._positions, oldest),
                seq_lengths=(len(self._tree), len(self._tree)),
            )
        return self._masks[window]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scores: LayerScores) -> Tensor:
        """See `Plan.attend`."""
        if self.keep is not None:
            self.keep[layer] = (k.detach(), v.detach())
        out, aux = self._attention(
            q[None],
            k[None],
            v[None],
            score_mod=None if scores.softcap is None else _cap(scores.softcap),
            block_mask=self.mask(scores.window),
            scale=scores.scaling,
            enable_gqa=q.shape[0] != k.shape[0],
            return_aux=AuxRequest(lse=scores.sinks is not None),
        )
        if scores.sinks is not None:
            # Softmax with one more logit: every weight times exp(lse) / (exp(lse) + exp(sink)).
            share = torch.sigmoid(aux.lse - scores.sinks.to(aux.lse.dtype)[:, None])
            out = (out * share[..., None]).to(out.dtype)
        packed: Tensor = out[0].transpose(0, 1)
        return packed


def visible_blocks(tree: TokenTree, window: int | None) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which blocks of queries (rows) see something of which blocks of keys (columns).

    Returns:
        [blocks, blocks] seen in part, or possibly so; and seen whole. No pair of blocks is both.
    """
    starts = np.arange(0, len(tree), BLOCK)
    stops = np.minimum(starts + BLOCK, len(tree))
    least_end, last_end = (f.reduceat(tree.subtree_end, starts) for f in (np.minimum, np.maximum))
    first, last = (f.reduceat(tree.positions, starts) for f in (np.minimum, np.maximum))
    number = np.arange(len(starts))
    earlier = number[None, :] < number[:, None]
    seen = (earlier & (last_end[None, :] > starts[:, None])) | (number[None, :] == number[:, None])
    full = earlier & (least_end[None, :] >= stops[:, None])
    if window is not None:
        seen &= first[:, None] - last[None, :] < window
        full &= last[:, None] - first[None, :] < window
    # A block that the end of the tree cuts short is never full, as in masks that FlexAttention makes itself.
    full &= (stops - starts == BLOCK)[None, :] & (stops - starts == BLOCK)[:, None]
    return seen & ~full, full


def _listed(blocks: NDArray[np.bool_], device: torch.device) -> tuple[Tensor, Tensor]:
    """FlexAttention's form of a block table: [1, 1, rows] counts; [1, 1, rows, columns] marked columns first."""
    counts = blocks.sum(1).astype(np.int32)
    columns = np.argsort(~blocks, axis=1, kind="stable").astype(np.int32)
    return torch.from_numpy(counts)[None, None].to(device), torch.from_numpy(columns)[None, None].to(device)


def _visibility(end: Tensor, positions: Tensor, oldest: Tensor) -> Callable[..., Tensor]:
    def sees(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        del batch, head
        return (key <= query) & (query < end[key]) & (positions[key] > oldest[query])

    return sees


def _cap(softcap: float) -> Callable[..., Tensor]:
    def capped(score: Tensor, batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        del batch, head, query, key
        return softcap * torch.tanh(score / softcap)

    return capped


@cache
def _compiled() -> Any:
    """Compiled once a process; the second length it meets makes it general in the length."""
    return torch.compile(flex_attention)
