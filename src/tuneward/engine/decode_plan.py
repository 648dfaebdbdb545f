"""Attention of a decode step: every live row sees its prompt (shared by its group) and its own tokens.

A row is a distinct unfinished completion so far; samples that have drawn the same tokens share one row. Rows
occupy slots 0 … n-1 of a pool without holes: a split copies only what splits, a finished row's slot is filled
by the last one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tuneward.engine.attention import LayerScores, probabilities


class DecodePlan:
    """Key/value store and attention for rows that all have generated the same number of tokens.

    Args:
        prompts: per layer, packed keys and values of the prefill ([key heads, nodes, size] each).
        paths: per group, the prefill nodes of its prompt.
        capacity: most rows that can be live at once.
        max_tokens: most tokens a row can generate.
    """

    def __init__(
        self, prompts: dict[int, tuple[Tensor, Tensor]], paths: list[Tensor], *, capacity: int, max_tokens: int
    ):
        device = paths[0].device
        self._lengths = torch.tensor([len(path) for path in paths], device=device)
        longest = int(self._lengths.max())
        padded = torch.zeros(len(paths), longest, dtype=torch.int64, device=device)
        for group, path in enumerate(paths):
            padded[group, : len(path)] = path
        self._prompt: dict[int, tuple[Tensor, Tensor]] = {}
        self._own: dict[int, tuple[Tensor, Tensor]] = {}
        for layer in sorted(prompts):
            keys, values = prompts.pop(layer)  # freed layer by layer: prompts exist once, not twice
            self._prompt[layer] = (keys[:, padded].transpose(0, 1), values[:, padded].transpose(0, 1))
            self._own[layer] = (
                keys.new_empty(capacity, keys.shape[0], max_tokens, keys.shape[2]),
                values.new_empty(capacity, values.shape[0], max_tokens, values.shape[2]),
            )
        self._tokens = 0
        self._positions = torch.arange(longest, device=device)
        self._masks: dict[int | None, Tensor] = {}
        self.arrange(torch.arange(len(paths), device=device))

    @property
    def rows(self) -> int:
        """Live rows."""
        return len(self._group_of_row)

    def positions(self) -> Tensor:
        """[rows] position, within its whole sequence, of the token that each row feeds next."""
        return self._lengths[self._group_of_row] + self._tokens

    def arrange(self, group_of_row: Tensor) -> None:
        """Say which group each live row belongs to, in slot order; call after rows changed."""
        self._group_of_row = group_of_row
        counts = torch.bincount(group_of_row, minlength=len(self._lengths))
        live = torch.nonzero(counts)[:, 0]
        if len(live) < len(self._lengths):
            self._drop_groups(live)
            counts = counts[live]
        widest = int(counts.max())
        order = torch.argsort(self._group_of_row, stable=True)
        starts = torch.cumsum(counts, 0) - counts
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order), device=order.device) - starts[self._group_of_row[order]]
        self._seat_of_row = self._group_of_row * widest + rank
        self._row_of_seat = torch.zeros(len(counts) * widest, dtype=torch.int64, device=order.device)
        self._row_of_seat[self._seat_of_row] = torch.arange(len(order), device=order.device)
        self._masks.clear()

    def _drop_groups(self, live: Tensor) -> None:
        """Forget the prompts of groups whose samples have all finished."""
        renumber = torch.full((len(self._lengths),), -1, device=live.device)
        renumber[live] = torch.arange(len(live), device=live.device)
        self._group_of_row = renumber[self._group_of_row]
        self._lengths = self._lengths[live]
        for layer, (keys, values) in self._prompt.items():
            self._prompt[layer] = (keys[live], values[live])

    def move(self, source: Tensor, target: Tensor) -> None:
        """Copy rows' own tokens from source slots to target slots (disjoint sets)."""
        used = self._tokens
        for keys, values in self._own.values():
            keys[target, :, :used] = keys[source, :, :used]
            values[target, :, :used] = values[source, :, :used]

    def advance(self) -> None:
        """The tokens fed in the last model call now belong to the rows."""
        self._tokens += 1
        self._masks.clear()

    def _mask(self, window: int | None, dtype: torch.dtype) -> Tensor:
        """[rows, 1, 1, prompt + own] additive mask."""
        if window not in self._masks:
            position = (self._lengths + self._tokens)[:, None]
            own = self._lengths[:, None] + torch.arange(self._tokens + 1, device=position.device)
            visible = self._positions[None, :] < self._lengths[:, None]
            key_position = torch.cat([self._positions.expand(len(own), -1), own], dim=1)
            visible = torch.cat([visible, torch.ones_like(own, dtype=torch.bool)], dim=1)
            if window is not None:
                visible &= position - key_position < window
            mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(~visible, -torch.inf)
            self._masks[window] = mask[self._group_of_row][:, None, None, :]
        return self._masks[window]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scores: LayerScores) -> Tensor:
        """See `Plan.attend`; the keys and values given are stored as the rows' newest token."""
        heads, rows, size = q.shape
        key_heads, used = k.shape[0], self._tokens + 1
        own_keys, own_values = self._own[layer]
        own_keys[:rows, :, used - 1] = k.transpose(0, 1)
        own_values[:rows, :, used - 1] = v.transpose(0, 1)
        prompt_keys, prompt_values = self._prompt[layer]
        groups, longest = prompt_keys.shape[0], prompt_keys.shape[2]
        shared = heads // key_heads

        by_row = q.transpose(0, 1).reshape(rows, key_heads, shared, size)
        # Queries of a group sit together, so that its prompt's keys are read once for all of them.
        seated = by_row[self._row_of_seat].view(groups, -1, key_heads, shared, size).transpose(1, 2)
        widest = seated.shape[2]
        on_prompt = seated.reshape(groups, key_heads, widest * shared, size) @ prompt_keys.transpose(2, 3)
        on_prompt = on_prompt.view(groups, key_heads, widest, shared, longest).transpose(1, 2)
        on_prompt = on_prompt.reshape(groups * widest, key_heads, shared, longest)[self._seat_of_row]
        on_own = by_row @ own_keys[:rows, :, :used].transpose(2, 3)

        score_dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
        raw = torch.cat([on_prompt, on_own], dim=-1).to(score_dtype)
        sinks = None if scores.sinks is None else scores.sinks.view(1, key_heads, shared, 1)
        weights = probabilities(raw, self._mask(scores.window, score_dtype), scores, sinks).to(v.dtype)

        seated_weights = weights[self._row_of_seat, ..., :longest].view(groups, widest, key_heads, shared, longest)
        from_prompt = seated_weights.transpose(1, 2).reshape(groups, key_heads, -1, longest) @ prompt_values
        from_prompt = from_prompt.view(groups, key_heads, widest, shared, -1).transpose(1, 2)
        from_prompt = from_prompt.reshape(groups * widest, key_heads, shared, -1)[self._seat_of_row]
        out = from_prompt + weights[..., longest:] @ own_values[:rows, :, :used]
        return out.reshape(rows, heads, -1)
