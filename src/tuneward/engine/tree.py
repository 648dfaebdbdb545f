"""The token tree: sequences that begin alike share their beginning.

A step's sequences (prompt + completion, G per prompt) repeat the prompt G times and, as the policy settles,
more and more of the answer. Laid out as a trie in depth-first preorder, every distinct prefix is one node and
visibility becomes arithmetic: node i sees node j exactly when j <= i < end(j).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenTree:
    """Distinct prefixes of some sequences, in depth-first preorder."""

    tokens: Ints
    """[n] token of each node."""
    positions: Ints
    """[n] depth of each node: the token's position in its sequence, from 0."""
    subtree_end: Ints
    """[n] one past the last node below each node; node i descends from j when j <= i < subtree_end[j]."""
    owner: Ints
    """[n] one of the sequences that pass through each node."""
    paths: tuple[Ints, ...]
    """Per sequence, in the order given: the node of each of its tokens."""

    def __len__(self) -> int:
        return len(self.tokens)

    def ancestors(self, node: int) -> Ints:
        """Proper ancestors of a node, root first."""
        path = self.paths[int(self.owner[node])]
        return path[: int(self.positions[node])]


def build_tree(sequences: Sequence[Sequence[int]]) -> TokenTree:
    """Lay out sequences as a token tree.

    Sorted sequences arrive in depth-first order, so each one only adds what it does not share with the one
    before it: linear in the number of tokens.

    Args:
        sequences: token ids, each at least one long.

    Raises:
        ValueError: an empty sequence.
    """
    arrays = [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
    if any(len(array) == 0 for array in arrays):
        raise ValueError("a sequence has no tokens")
    order = sorted(range(len(arrays)), key=lambda i: tuple(sequences[i]))
    tokens: list[Ints] = []
    positions: list[Ints] = []
    owner: list[Ints] = []
    paths: list[Ints] = [np.empty(0, dtype=np.int64)] * len(arrays)
    end = np.zeros(sum(len(array) for array in arrays), dtype=np.int64)
    count = 0
    previous, path = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    for index in order:
        current = arrays[index]
        shared = _common_prefix(previous, current)
        end[path[shared:]] = count
        fresh = np.arange(count, count + len(current) - shared, dtype=np.int64)
        count += len(fresh)
        path = np.concatenate([path[:shared], fresh])
        paths[index] = path
        tokens.append(current[shared:])
        positions.append(np.arange(shared, len(current), dtype=np.int64))
        owner.append(np.full(len(fresh), index, dtype=np.int64))
        # A sequence that is a prefix of the next one must keep its own nodes open, hence path, not fresh.
        previous = current
    end[path] = count
    empty = np.empty(0, dtype=np.int64)
    return TokenTree(
        tokens=np.concatenate(tokens) if tokens else empty,
        positions=np.concatenate(positions) if positions else empty,
        subtree_end=end[:count],
        owner=np.concatenate(owner) if owner else empty,
        paths=tuple(paths),
    )


def _common_prefix(left: Ints, right: Ints) -> int:
    length = min(len(left), len(right))
    differs = np.flatnonzero(left[:length] != right[:length])
    return int(differs[0]) if len(differs) else length
