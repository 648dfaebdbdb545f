"""What sampling computed and training would compute again: the outputs of the linear layers.

Sampling a batch and updating on it run the same tokens through the same weights. Multiplications are nearly all of
that work, so the sampler leaves their results here, and the update's forward pass is left with norms, rotations,
attention and activations. Only the backward pass multiplies anew. The mathematics is that of one forward pass per
token instead of two equal ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuneward.engine.tree import TokenTree

Ints = NDArray[np.int64]
Product = Callable[[Tensor], Tensor]

HEAD = -1
"""Number of the output layer; the adapted layers count from 0."""


class ForwardRecord:
    """Outputs of a model's linear layers at the tokens of one rollout. Valid until the policy changes.

    One record serves a whole run: its memory is touched by the first steps and used again by all others.

    Args:
        capacity: most tokens that can be kept; later ones are computed again.
    """

    def __init__(self, capacity: int):
        self.capacity = capacity
        self._stores: dict[int, Tensor] = {}
        self.clear()

    def clear(self) -> None:
        """Forget everything; before each rollout, and before the policy changes."""
        self._filled: dict[int, int] = {}
        self._rows = 0
        self._head_rows = 0
        self._open: tuple[int, int] | None = None
        self._head_of_row = np.full(self.capacity, -1, dtype=np.int64)
        self._paths: dict[tuple[int, ...], Ints] = {}

    # While sampling

    def open(self, count: int, heads: Ints) -> Ints:
        """Announce a forward pass.

        Args:
            count: its tokens.
            heads: [h] which of them get logits.

        Returns:
            [count] row of each token; -1 when there is no room for them.
        """
        if self._rows + count > self.capacity:
            self._open = None
            return np.full(count, -1, dtype=np.int64)
        rows = np.arange(self._rows, self._rows + count)
        self._head_of_row[rows[heads]] = np.arange(self._head_rows, self._head_rows + len(heads))
        self._rows += count
        self._head_rows += len(heads)
        self._open = (count, len(heads))
        return rows

    def tap(self, layer: int, product: Product) -> Product:
        """The same product, its outputs kept."""

        def tapped(x: Tensor) -> Tensor:
            out = product(x)
            self._write(layer, out)
            return out

        return tapped

    def _write(self, layer: int, out: Tensor) -> None:
        if self._open is None:
            return
        flat = out.reshape(-1, out.shape[-1])
        count, end = (self._open[1], self._head_rows) if layer == HEAD else (self._open[0], self._rows)
        start = end - count
        # A layer that sees other tokens than the packed ones, or runs twice or not at all, is never replayed.
        if len(flat) != count or self._filled.get(layer, 0) != start:
            self._filled[layer] = -1
            return
        if layer not in self._stores:
            # Pages that are never written cost no memory.
            self._stores[layer] = flat.new_empty(self.capacity, flat.shape[-1])
        self._stores[layer][start:end] = flat
        self._filled[layer] = end

    def keep(self, sequence: Sequence[int], rows: Ints) -> None:
        """Remember the rows of a sequence's tokens."""
        self._paths[tuple(sequence)] = rows

    # While training

    def replay(self, tree: TokenTree, sequences: Sequence[Sequence[int]], heads: Ints) -> Replay | None:
        """Where the nodes of a tree are kept; None when none of them is.

        Args:
            tree: of `sequences`.
            sequences: as given to `build_tree`.
            heads: [h] nodes whose logits are wanted.
        """
        rows = np.full(len(tree), -1, dtype=np.int64)
        for sequence, path in zip(sequences, tree.paths, strict=True):
            known = self._paths.get(tuple(sequence))
            if known is not None:
                rows[path] = np.where(known >= 0, known, rows[path])
        if not (rows >= 0).any():
            return None
        head_rows = np.where(rows[heads] >= 0, self._head_of_row[rows[heads]], -1)
        return Replay(self, rows, head_rows)

    def take(self, layer: int, rows: Tensor) -> Tensor | None:
        """[len(rows), out] kept outputs, a fresh tensor; None when this layer was not kept whole."""
        expected = self._head_rows if layer == HEAD else self._rows
        if expected == 0 or self._filled.get(layer) != expected:
            return None
        return self._stores[layer].index_select(0, rows)


class Replay:
    """Kept outputs for the tokens of one packed forward pass.

    Args:
        record: holds them.
        rows: [tokens] row of each token, -1 where it is not kept.
        head_rows: [wanted] row of each wanted token's logits, -1 where they are not kept.
    """

    def __init__(self, record: ForwardRecord, rows: Ints, head_rows: Ints):
        self.record = record
        self.head_rows = head_rows
        self._known = torch.from_numpy(np.maximum(rows, 0))
        missing = np.flatnonzero(rows < 0)
        self.missing = torch.from_numpy(missing) if len(missing) else None
        """Packed indices of tokens that are not kept; None when all are."""

    def output(self, layer: int) -> Tensor | None:
        """[tokens, out] of an adapted layer; rows at `missing` are to be computed."""
        return self.record.take(layer, self._known)

    def logits(self) -> Tensor | None:
        """[wanted rows, vocabulary] of the output layer; None when one of them is missing."""
        if (self.head_rows < 0).any():
            return None
        return self.record.take(HEAD, torch.from_numpy(self.head_rows))
