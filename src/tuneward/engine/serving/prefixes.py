"""Beginnings that need not be computed again: those of rows under way, and of rows that have ended lately.

Keys and values depend on the tokens before and on the weights, so a beginning is shared by rows of one adapter only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuneward.engine.serving.adapters import Adapter
from tuneward.engine.serving.pool import Saved

SHORTEST = 16
"""Shorter beginnings are not worth the copy."""


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """Tokens whose keys and values are there."""

    adapter: Adapter | None
    tokens: NDArray[np.int64]
    saved: Saved


class PrefixStore:
    """What ended rows have left, the longest unused goes first.

    Args:
        tokens: most tokens kept; 0 keeps nothing.
    """

    def __init__(self, tokens: int):
        self._limit = tokens
        self._kept: list[Beginning] = []

    @property
    def tokens(self) -> int:
        """Tokens kept now."""
        return sum(len(beginning.tokens) for beginning in self._kept)

    def has_room(self, tokens: int) -> bool:
        """So many tokens are neither too few nor too many to keep."""
        return SHORTEST <= tokens <= self._limit

    def keep(self, beginning: Beginning) -> None:
        """Keep a beginning in the place of those that it contains, and of the oldest."""
        self._kept = [old for old in self._kept if not _contains(beginning, old)]
        self._kept.append(beginning)
        while self.tokens > self._limit:
            self._kept.pop(0)

    def forget(self, adapter: Adapter) -> None:
        """Keep nothing of an adapter."""
        self._kept = [old for old in self._kept if old.adapter is not adapter]

    def best(self, adapter: Adapter | None, tokens: NDArray[np.int64]) -> tuple[int, Saved | None]:
        """Length of the longest kept beginning of these tokens, and where it is; it counts as used now."""
        found = [
            (common_length(old.tokens, tokens), number)
            for number, old in enumerate(self._kept)
            if old.adapter is adapter
        ]
        length, number = max(found, default=(0, -1))
        if length < SHORTEST:
            return 0, None
        used = self._kept.pop(number)
        self._kept.append(used)
        return length, used.saved


def common_length(left: NDArray[np.int64], right: NDArray[np.int64]) -> int:
    """Tokens that two sequences begin with alike."""
    length = min(len(left), len(right))
    differs = np.flatnonzero(left[:length] != right[:length])
    return int(differs[0]) if len(differs) else length


def as_array(tokens: Sequence[int]) -> NDArray[np.int64]:
    return np.array(tokens, dtype=np.int64)


def _contains(new: Beginning, old: Beginning) -> bool:
    return old.adapter is new.adapter and common_length(old.tokens, new.tokens) == len(old.tokens)
