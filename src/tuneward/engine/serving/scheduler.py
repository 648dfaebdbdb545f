"""Which rows take part in the next pass, and with how many tokens.

Rows that decode always do, so that answers flow evenly; what is left of a pass reads prompts, in order of arrival
and in stretches. When keys and values outgrow the pool, the youngest row gives up its place and reads its tokens
again later; its answer does not change.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from tuneward.engine.serving.adapters import Adapter
from tuneward.engine.serving.pool import KeyValuePool
from tuneward.engine.serving.prefixes import SHORTEST, Beginning, PrefixStore, common_length
from tuneward.engine.serving.row import Row


class Scheduler:
    """Rows that wait and rows under way.

    Args:
        pool: for the rows under way.
        prefixes: what ended rows leave.
        max_rows: most rows under way.
        pass_tokens: most tokens of a pass; more than `max_rows`, or prompts would never be read.
    """

    def __init__(self, pool: KeyValuePool, prefixes: PrefixStore, *, max_rows: int, pass_tokens: int):
        if pass_tokens <= max_rows:
            raise ValueError(f"pass_tokens is {pass_tokens}; it must exceed max_rows, {max_rows}")
        self.pool = pool
        self.waiting: deque[Row] = deque()
        self.live: list[Row] = []
        """In order of admission."""
        self._prefixes = prefixes
        self._max_rows = max_rows
        self._pass_tokens = pass_tokens

    @property
    def has_work(self) -> bool:
        return bool(self.waiting or self.live)

    def next_pass(self) -> list[tuple[Row, int]]:
        """Rows and how many tokens each feeds; those of one adapter follow each other. Each has its seat."""
        self._admit()
        left = self._pass_tokens - sum(row.pending == 1 for row in self.live)
        counts: list[tuple[Row, int]] = []
        for row in self.live:
            count = 1 if row.pending == 1 else min(row.pending, left)
            if row.pending > 1:
                left -= count
            if count:
                counts.append((row, count))
        seated = [(row, count) for row, count in counts if row in self.live and self._seat(row, row.cached + count)]
        return sorted(seated, key=lambda entry: 0 if entry[0].adapter is None else id(entry[0].adapter))

    def remove(self, is_unwanted: Callable[[Row], bool]) -> None:
        """Forget rows, waiting and under way."""
        for row in [row for row in self.live if is_unwanted(row)]:
            self.live.remove(row)
            self.pool.free(row)
        self.waiting = deque(row for row in self.waiting if not is_unwanted(row))

    def forget(self, adapter: Adapter) -> None:
        """Keep nothing of an adapter."""
        self._prefixes.forget(adapter)

    def end(self, row: Row) -> None:
        """An answer is complete; what it has computed may serve the next turn of its conversation."""
        if row.index == 0 and self._prefixes.has_room(row.cached):
            saved = self.pool.save(row, row.cached)
            self._prefixes.keep(Beginning(row.adapter, row.tokens()[: row.cached], saved))
        self.live.remove(row)
        self.pool.free(row)

    def _seat(self, row: Row, tokens: int) -> bool:
        while not self.pool.seat(row, tokens):
            youngest = self.live.pop()  # the oldest always finds room, so that all get their turn
            self.pool.free(youngest)
            youngest.cached = 0
            self.waiting.appendleft(youngest)
            if youngest is row:
                return False
        return True

    def _admit(self) -> None:
        unread = sum(row.pending for row in self.live if row.pending > 1)
        for row in list(self.waiting):
            if len(self.live) >= self._max_rows or unread >= self._pass_tokens:
                return
            tokens = row.tokens()
            shareable = len(tokens) - 1  # the last one is fed, for its logits
            length, saved = self._prefixes.best(row.adapter, tokens)
            alike = [
                (min(common_length(other.ticket.prompt_array, tokens), shareable), other)
                for other in self.live
                if other.adapter is row.adapter
            ]
            ready, source = max(((min(n, other.cached), other) for n, other in alike), key=_first, default=(0, None))
            if max((n for n, other in alike if other.cached < n), default=0) >= max(length, ready) + SHORTEST:
                continue  # a row under way is just reading what this one would read
            if not self.pool.seat(row, len(tokens) + 1):
                return
            if source is not None and ready >= max(length, SHORTEST):
                length, saved = ready, self.pool.view(source)
            if saved is not None:
                row.cached = min(length, shareable)
                self.pool.fill(row, saved, row.cached)
            if row.index == 0 and not row.answer:
                row.ticket.cached_tokens = row.cached
            row.admitted_s = time.monotonic()
            self.waiting.remove(row)
            self.live.append(row)
            unread += row.pending if row.pending > 1 else 0


def _first(entry: tuple[int, Row]) -> int:
    return entry[0]
