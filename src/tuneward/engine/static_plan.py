"""Attention of a decode step in shapes that seldom change, so that a GPU can replay the whole step as one graph.

The mathematics of `DecodePlan`. Rows and visible tokens are rounded up to a few sizes, what says who sees whom lies
in tensors that are overwritten in place, and nothing is asked back from the device. Rows beyond the live ones
compute on leftovers, and nobody reads what they give.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuneward.engine.attention import LayerScores, probabilities
from tuneward.engine.decode_plan import by_group, padded_paths
from tuneward.engine.forward import PackedModel

LEAST_ROWS, ROW_BLOCK, LEAST_TOKENS = 8, 64, 64
"""Rows are rounded up to powers of two from the first, above the second to its multiples; own tokens to powers of
two from the third. Up to some 200 rows a GPU reads the weights no slower than it multiplies them."""


@dataclass(frozen=True, slots=True)
class StepShape:
    """Everything that the shapes of a decode step depend on."""

    rows: int
    groups: int
    seats: int
    """Places for rows in each group."""
    tokens: int
    """Own tokens looked at, the new one included."""


class StaticDecodePlan:
    """Key/value store and attention for rows that all have generated the same number of tokens; see `DecodePlan`.

    Args:
        prompts: per layer, packed keys and values of the prefill ([key heads, nodes, size] each); emptied.
        paths: per group, the prefill nodes of its prompt.
        capacity: most rows that can be live at once.
        max_tokens: most tokens a row can generate.
    """

    def __init__(
        self, prompts: dict[int, tuple[Tensor, Tensor]], paths: list[Tensor], *, capacity: int, max_tokens: int
    ):
        device = paths[0].device
        self._capacity, self._max_tokens = capacity, max_tokens
        self._prompt_lengths = np.array([len(path) for path in paths])
        self._slot_of_group = np.arange(len(paths))
        self._slots = len(paths)
        padded = padded_paths(paths)
        self._prompt: dict[int, tuple[Tensor, Tensor]] = {}
        self._own: dict[int, tuple[Tensor, Tensor]] = {}
        for layer in sorted(prompts):
            keys, values = prompts.pop(layer)  # freed layer by layer: prompts exist once, not twice
            self._prompt[layer] = (by_group(keys, padded), by_group(values, padded))
            # Zeros: what nobody sees is multiplied by 0, and must not be NaN.
            self._own[layer] = (
                keys.new_zeros(capacity, keys.shape[0], max_tokens, keys.shape[2]),
                values.new_zeros(capacity, values.shape[0], max_tokens, values.shape[2]),
            )
        self._positions = torch.arange(padded.shape[1], device=device)
        self._own_positions = torch.arange(max_tokens, device=device)
        self._tokens = 0

        def numbers(size: int) -> Tensor:
            return torch.zeros(size, dtype=torch.int64, device=device)

        self._used = numbers(1)  # equal to _tokens, for the device
        self._fed, self._length_of_row, self._seat_of_row = numbers(capacity), numbers(capacity), numbers(capacity)
        self._row_of_seat = numbers(len(paths) * capacity)
        self._masks: dict[int | None, Tensor] = {}
        self.arrange(torch.arange(len(paths)))

    @property
    def shape(self) -> StepShape:
        """Of the next step."""
        if self.rows <= ROW_BLOCK:
            rows = _power_of_two(self.rows, LEAST_ROWS, self._capacity)
        else:
            rows = min(-(-self.rows // ROW_BLOCK) * ROW_BLOCK, self._capacity)
        tokens = _power_of_two(self._tokens + 1, LEAST_TOKENS, self._max_tokens)
        return StepShape(rows, self._slots, self._seats, tokens)

    def arrange(self, group_of_row: Tensor) -> None:
        """Say which group each live row belongs to, in slot order; call after rows changed.

        Args:
            group_of_row: [rows] number of the group among those that were live at the last call.
        """
        live, groups = np.unique(group_of_row.cpu().numpy(), return_inverse=True)
        self._slot_of_group = self._slot_of_group[live]
        if 2 * len(live) <= self._slots:
            self._close_ranks()
        slots = self._slot_of_group[groups]
        self.rows = len(slots)
        counts = np.bincount(slots, minlength=self._slots)
        self._seats = _power_of_two(int(counts.max()), 1, self._capacity)
        order = np.argsort(slots, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order)) - (np.cumsum(counts) - counts)[slots[order]]
        seat_of_row = slots * self._seats + rank
        row_of_seat = np.zeros(self._slots * self._seats, dtype=np.int64)
        row_of_seat[seat_of_row] = np.arange(len(order))
        self._row_of_seat[: len(row_of_seat)].copy_(torch.from_numpy(row_of_seat))
        # Rows beyond the live ones take seat 0 and an empty prompt: any numbers within bounds would do.
        self._seat_of_row.copy_(torch.from_numpy(_filled_up(seat_of_row, self._capacity)))
        self._length_of_row.copy_(torch.from_numpy(_filled_up(self._prompt_lengths[slots], self._capacity)))

    def _close_ranks(self) -> None:
        """Move the prompts of live groups to the front; the rest is not computed any more."""
        count = len(self._slot_of_group)
        slots = torch.from_numpy(self._slot_of_group).to(self._used.device)
        for stores in self._prompt.values():
            for store in stores:
                store[:count] = store.index_select(0, slots)
        self._prompt_lengths = self._prompt_lengths[self._slot_of_group]
        self._slot_of_group = np.arange(count)
        self._slots = count

    def move(self, source: Tensor, target: Tensor) -> None:
        """Copy rows' own tokens from source slots to target slots (disjoint sets)."""
        if not len(source):
            return
        used = self._tokens
        for stores in self._own.values():
            for store in stores:
                store[target, :, :used] = store[source, :, :used]

    def advance(self) -> None:
        """The tokens fed in the last model call now belong to the rows."""
        self._tokens += 1
        self._used += 1

    def logits(self, model: PackedModel, tokens: NDArray[np.int64]) -> Tensor:
        """Logits after feeding each row a token; valid until the next call.

        Args:
            model: the policy.
            tokens: [rows] token ids.

        Returns:
            [rows, vocabulary] in the model's dtype.
        """
        self._fed[: len(tokens)].copy_(torch.from_numpy(tokens))
        return self._step(model)[: self.rows]

    def _step(self, model: PackedModel) -> Tensor:
        """[shape.rows, vocabulary]"""
        return self._forward(model)

    def _forward(self, model: PackedModel) -> Tensor:
        """One pass of the model that reads this plan's tensors alone."""
        self._masks.clear()
        rows = self.shape.rows
        positions = self._length_of_row[:rows] + self._used
        out: Tensor = model.model(
            input_ids=self._fed[None, :rows], position_ids=positions[None], use_cache=False, plan=self
        ).logits
        return out.squeeze(0)

    def _mask(self, window: int | None, dtype: torch.dtype) -> Tensor:
        """[rows, 1, 1, prompt + own] additive mask; made once a step and shared by its layers."""
        if window not in self._masks:
            shape = self.shape
            lengths, own = self._length_of_row[: shape.rows, None], self._own_positions[: shape.tokens]
            visible = torch.cat([self._positions < lengths, (own <= self._used).expand(shape.rows, -1)], dim=1)
            if window is not None:
                key_position = torch.cat([self._positions.expand(shape.rows, -1), lengths + own], dim=1)
                visible &= lengths + self._used - key_position < window
            mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(~visible, -torch.inf)
            self._masks[window] = mask[:, None, None, :]
        return self._masks[window]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scores: LayerScores) -> Tensor:
        """See `Plan.attend`; the keys and values given are stored as the rows' newest token."""
        shape = self.shape
        heads, rows, size = q.shape
        key_heads, shared = k.shape[0], heads // k.shape[0]
        own_keys, own_values = (store[:rows] for store in self._own[layer])
        own_keys.index_copy_(2, self._used, k.transpose(0, 1)[:, :, None])
        own_values.index_copy_(2, self._used, v.transpose(0, 1)[:, :, None])
        prompt_keys, prompt_values = (store[: shape.groups] for store in self._prompt[layer])
        row_of_seat = self._row_of_seat[: shape.groups * shape.seats]
        seat_of_row = self._seat_of_row[:rows]

        def to_groups(by_row: Tensor) -> Tensor:
            """[rows, key heads, shared, x] → [groups, key heads, seats · shared, x]: a prompt is read once."""
            seated = by_row.index_select(0, row_of_seat).view(shape.groups, shape.seats, key_heads, shared, -1)
            return seated.transpose(1, 2).reshape(shape.groups, key_heads, shape.seats * shared, -1)

        def to_rows(by_group: Tensor) -> Tensor:
            seated = by_group.view(shape.groups, key_heads, shape.seats, shared, -1).transpose(1, 2)
            return seated.reshape(shape.groups * shape.seats, key_heads, shared, -1).index_select(0, seat_of_row)

        by_row = q.transpose(0, 1).reshape(rows, key_heads, shared, size)
        on_prompt = to_rows(to_groups(by_row) @ prompt_keys.transpose(2, 3))
        on_own = by_row @ own_keys[:, :, : shape.tokens].transpose(2, 3)

        score_dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
        raw = torch.cat([on_prompt, on_own], dim=-1).to(score_dtype)
        sinks = None if scores.sinks is None else scores.sinks.view(1, key_heads, shared, 1)
        weights = probabilities(raw, self._mask(scores.window, score_dtype), scores, sinks).to(v.dtype)

        longest = prompt_keys.shape[2]
        from_prompt = to_rows(to_groups(weights[..., :longest]) @ prompt_values)
        out = from_prompt + weights[..., longest:] @ own_values[:, :, : shape.tokens]
        return out.reshape(rows, heads, -1)


def _power_of_two(count: int, least: int, most: int) -> int:
    """The least power of two that is enough, within bounds."""
    return min(max(least, 1 << (count - 1).bit_length()), most)


def _filled_up(values: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Followed by zeros up to `size`."""
    return np.concatenate([values, np.zeros(size - len(values), dtype=np.int64)])
