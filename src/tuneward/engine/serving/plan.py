"""Attention of a serving pass: every row feeds the tokens it has to feed, one or many, at its own position.

A row that decodes feeds one token, a row whose prompt is being read a stretch of it. Rows that feed one token and
lie on the same shelf are computed together.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tuneward.engine.attention import LayerScores, probabilities
from tuneward.engine.serving.pool import KeyValuePool, Shelf

BLOCK = 128
"""Queries of a stretch computed at once."""


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens that one row feeds in a pass."""

    row: Hashable
    start: int
    """Position of the first one; the row's earlier tokens are in the pool."""
    count: int


@dataclass(frozen=True, slots=True)
class _Step:
    """Rows of one shelf that feed one token each."""

    shelf: Shelf
    packed: Tensor
    """[r] packed index of each row's token."""
    slots: Tensor
    """[r] slot of each row."""
    positions: Tensor
    """[r] position of each row's token."""
    first: int
    """Position of the row that is least far."""
    last: int
    """Position of the row that is furthest."""


class ServingPlan:
    """Plan of one pass, see `Plan`; what the pass computes of the rows is stored in the pool.

    Args:
        pool: where the rows have seats long enough for what they feed.
        spans: in packed order; a row occurs once.
        device: where the model is.
    """

    def __init__(self, pool: KeyValuePool, spans: Sequence[Span], device: torch.device):
        self._pool = pool
        self._device = device
        self._stretches: list[tuple[Span, int]] = []
        single: dict[int, tuple[Shelf, list[tuple[int, int, int]]]] = {}
        packed = 0
        for span in spans:
            shelf, slot = pool.place(span.row)
            if span.count == 1:
                single.setdefault(id(shelf), (shelf, []))[1].append((packed, slot, span.start))
            else:
                self._stretches.append((span, packed))
            packed += span.count
        self._steps = []
        for shelf, rows in single.values():
            index, slots, positions = torch.tensor(rows, device=device).T.contiguous()
            starts = [start for *_, start in rows]
            self._steps.append(_Step(shelf, index, slots, positions, min(starts), max(starts)))
        self._step_masks: dict[tuple[int, int | None], Tensor] = {}
        self._stretch_masks: dict[tuple[int, int | None], Tensor] = {}

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scores: LayerScores) -> Tensor:
        """See `Plan.attend`."""
        out = q.new_empty(q.shape[1], q.shape[0], v.shape[-1])
        for number, step in enumerate(self._steps):
            out[step.packed] = self._attend_step(layer, number, q, k, v, scores)
        for span, packed in self._stretches:
            self._attend_stretch(layer, span, packed, q, k, v, scores, out)
        return out

    def _attend_step(self, layer: int, number: int, q: Tensor, k: Tensor, v: Tensor, scores: LayerScores) -> Tensor:
        """[r, query heads, value size]"""
        step = self._steps[number]
        keys, values = step.shelf.layer(layer, k, v)
        keys[step.slots, :, step.positions] = k[:, step.packed].transpose(0, 1)
        values[step.slots, :, step.positions] = v[:, step.packed].transpose(0, 1)
        heads, _, size = q.shape
        key_heads, count = k.shape[0], len(step.shelf.rows)
        # Slots whose rows rest in this pass, or feed a stretch, compute on zeros: cheaper than gathering the others.
        queries = q.new_zeros(count, key_heads, heads // key_heads, size)
        queries[step.slots] = q[:, step.packed].transpose(0, 1).reshape(-1, key_heads, heads // key_heads, size)
        first = _oldest(step.first, scores.window)
        seen = slice(first, step.last + 1)
        raw = queries @ keys[:count, :, seen].transpose(2, 3)
        sinks = None if scores.sinks is None else scores.sinks.view(1, key_heads, -1, 1)
        weights = probabilities(raw, self._step_mask(number, count, scores.window, q), scores, sinks)
        out = weights.to(v.dtype) @ values[:count, :, seen]
        return out[step.slots].reshape(len(step.slots), heads, -1)

    def _step_mask(self, number: int, count: int, window: int | None, like: Tensor) -> Tensor:
        """[slots, 1, 1, tokens] additive mask; made once and shared by all layers of a window."""
        if (number, window) not in self._step_masks:
            step = self._steps[number]
            position = torch.full((count,), step.last, device=self._device)  # resting slots see what is there
            position[step.slots] = step.positions
            token = torch.arange(_oldest(step.first, window), step.last + 1, device=self._device)
            self._step_masks[number, window] = _mask(token, position, window, like)[:, None, None, :]
        return self._step_masks[number, window]

    def _attend_stretch(
        self, layer: int, span: Span, packed: int, q: Tensor, k: Tensor, v: Tensor, scores: LayerScores, out: Tensor
    ) -> None:
        """Write the outputs of a stretch into out [n, query heads, value size]."""
        shelf, slot = self._pool.place(span.row)
        shelf_keys, shelf_values = shelf.layer(layer, k, v)
        keys, values = shelf_keys[slot], shelf_values[slot]
        stored = slice(span.start, span.start + span.count)
        keys[:, stored] = k[:, packed : packed + span.count]
        values[:, stored] = v[:, packed : packed + span.count]
        heads, _, size = q.shape
        key_heads = k.shape[0]
        sinks = None if scores.sinks is None else scores.sinks.view(key_heads, -1, 1, 1)
        for begin in range(0, span.count, BLOCK):
            end = min(begin + BLOCK, span.count)
            seen = slice(_oldest(span.start + begin, scores.window), span.start + end)
            mask = self._stretch_mask(packed + begin, span.start + begin, seen, scores.window, q)
            queries = q[:, packed + begin : packed + end].reshape(key_heads, -1, size)
            raw = (queries @ keys[:, seen].transpose(1, 2)).view(key_heads, -1, *mask.shape)
            weights = probabilities(raw, mask, scores, sinks).view(key_heads, queries.shape[1], -1)
            answer = (weights.to(v.dtype) @ values[:, seen]).view(heads, end - begin, -1)
            out[packed + begin : packed + end] = answer.transpose(0, 1)

    def _stretch_mask(self, packed: int, start: int, seen: slice, window: int | None, like: Tensor) -> Tensor:
        """[queries, tokens] additive mask of a block of queries; made once and shared by all layers of a window."""
        if (packed, window) not in self._stretch_masks:
            position = torch.arange(start, seen.stop, device=self._device)
            token = torch.arange(seen.start, seen.stop, device=self._device)
            self._stretch_masks[packed, window] = _mask(token, position, window, like)
        return self._stretch_masks[packed, window]


def _oldest(position: int, window: int | None) -> int:
    """Position of the first token visible from a position."""
    return 0 if window is None else max(0, position + 1 - window)


def _mask(token: Tensor, position: Tensor, window: int | None, like: Tensor) -> Tensor:
    """[positions, tokens] additive mask in the scores' type: earlier tokens and the own one, within the window."""
    visible = token[None, :] <= position[:, None]
    if window is not None:
        visible &= position[:, None] - token[None, :] < window
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    return torch.zeros(visible.shape, dtype=dtype, device=like.device).masked_fill_(~visible, -torch.inf)
