"""Attention of a decode step: every live row sees its prompt (shared by its group) and its own tokens.

A row is a distinct unfinished completion so far; samples that have drawn the same tokens share one row. Rows
occupy slots 0 … n-1 of a pool without holes: a split copies only what splits, a finished row's slot is filled
by the last one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tuneward.engine.attention import LayerScores, capped, weigh

MASKED = -1e30
"""Added to a score that must not count. Finite: a prompt wholly outside the window then weighs exactly nothing."""


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
        padded = padded_paths(paths)
        longest = padded.shape[1]
        self._prompt: dict[int, tuple[Tensor, Tensor]] = {}
        self._own: dict[int, tuple[Tensor, Tensor]] = {}
        for layer in sorted(prompts):
            keys, values = prompts.pop(layer)  # freed layer by layer: prompts exist once, not twice
            self._prompt[layer] = (by_group(keys, padded), by_group(values, padded))
            self._own[layer] = (
                keys.new_empty(capacity, keys.shape[0], max_tokens, keys.shape[2]),
                values.new_empty(capacity, values.shape[0], max_tokens, values.shape[2]),
            )
        self._tokens = 0
        self._positions = torch.arange(longest, device=device)
        self._masks: dict[int | None, Tensor] = {}
        self._seatings: dict[int, tuple[Tensor, Tensor]] = {}
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
        self._seatings.clear()

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

    def _prompt_mask(self, window: int | None, dtype: torch.dtype) -> Tensor:
        """[groups, 1, 1, prompt] additive mask; a group's rows all stand at the same position."""
        if window not in self._masks:
            visible = self._positions[None, :] < self._lengths[:, None]
            if window is not None:
                visible &= (self._lengths + self._tokens)[:, None] - self._positions[None, :] < window
            mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(~visible, MASKED)
            self._masks[window] = mask[:, None, None, :]
        return self._masks[window]

    def _seating(self, key_heads: int) -> tuple[Tensor, Tensor]:
        """Which of the [rows · key heads] sits at each of the [groups · key heads · seats], and the way back."""
        if key_heads not in self._seatings:
            groups, head = len(self._lengths), torch.arange(key_heads, device=self._row_of_seat.device)
            there = self._row_of_seat.view(groups, 1, -1) * key_heads + head[:, None]
            seats = there.shape[-1]
            group, seat = self._seat_of_row // seats, self._seat_of_row % seats
            back = (group[:, None] * key_heads + head) * seats + seat[:, None]
            self._seatings[key_heads] = there.flatten(), back.flatten()
        return self._seatings[key_heads]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scores: LayerScores) -> Tensor:
        """See `Plan.attend`; the keys and values given are stored as the rows' newest token."""
        heads, rows, size = q.shape
        key_heads, used = k.shape[0], self._tokens + 1
        own_keys, own_values = self._own[layer]
        own_keys[:rows, :, used - 1] = k.transpose(0, 1)
        own_values[:rows, :, used - 1] = v.transpose(0, 1)
        prompt_keys, prompt_values = self._prompt[layer]
        groups = len(prompt_keys)
        there, back = self._seating(key_heads)
        score_dtype = torch.float64 if q.dtype == torch.float64 else torch.float32

        # Queries of a group sit together, so that its prompt's keys are read once for all of them.
        by_row = q.transpose(0, 1).reshape(rows, key_heads, -1, size)
        seated = by_row.reshape(rows * key_heads, -1).index_select(0, there)
        raw = seated.view(groups, key_heads, -1, size) @ prompt_keys.transpose(2, 3)
        on_prompt, prompt_score = weigh(
            capped(raw, self._prompt_mask(scores.window, score_dtype), scores), prompt_values
        )
        on_prompt = on_prompt.view(len(there), -1).index_select(0, back).view(rows, key_heads, -1, on_prompt.shape[-1])
        prompt_score = prompt_score.view(len(there), -1).index_select(0, back).view(rows, key_heads, -1)
        # Beside the row's own tokens the whole prompt is one more key: its score is the log-sum-exp, its value the
        # output.
        first = 0 if scores.window is None else max(0, used - scores.window)
        raw = by_row @ own_keys[:rows, :, first:used].transpose(2, 3)
        columns = [capped(raw, None, scores), prompt_score[..., None]]
        if scores.sinks is not None:
            columns.append(scores.sinks.to(score_dtype).view(1, key_heads, -1, 1).expand(rows, -1, -1, 1))
        weights = torch.softmax(torch.cat(columns, dim=-1), dim=-1).to(v.dtype)
        own = used - first
        out = weights[..., :own] @ own_values[:rows, :, first:used]
        out.addcmul_(on_prompt, weights[..., own : own + 1])
        return out.reshape(rows, heads, -1)


def padded_paths(paths: list[Tensor]) -> Tensor:
    """[groups, longest] the prefill nodes of each group's prompt, then any node: what lies there is masked."""
    padded = torch.zeros(len(paths), max(map(len, paths)), dtype=torch.int64, device=paths[0].device)
    for group, path in enumerate(paths):
        padded[group, : len(path)] = path
    return padded


def by_group(packed: Tensor, paths: Tensor) -> Tensor:
    """[key heads, nodes, size] → [groups, key heads, longest, size].

    Contiguous: products over a batch of other strides would copy all of it at every token.
    """
    return packed[:, paths].transpose(0, 1).contiguous()
