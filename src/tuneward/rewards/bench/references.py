"""The answers that should earn the most: which way from a row's reference to a text this grader likes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

from tuneward.rewards.bench.answers import plain
from tuneward.rewards.bench.rendering import Rendering, are_criteria, bare_renderings, framed_renderings
from tuneward.types import Row

PROBED_ROWS = 4
"""Rows on which renderings are tried."""

Rate = Callable[[Sequence[tuple[Row, str]]], Sequence[float | None]]
"""Scores answers to rows; None for what got no score."""


class References:
    """The reference answers of some rows under one rendering.

    Args:
        rows: all rows of the test.
        rendering: None when there are no references, or they are no answers.
    """

    def __init__(self, rows: Sequence[Row], rendering: Rendering | None) -> None:
        self._rows = rows
        self.rendering = rendering

    def value(self, row: Row) -> str | None:
        """The bare answer of a row."""
        return self.rendering.value(row) if self.rendering else None

    @cached_property
    def values(self) -> list[str]:
        """The different bare answers of all rows."""
        found = [value for row in self._rows if (value := self.value(row)) is not None]
        return list({plain(value): value for value in found}.values())

    def framed(self, value: str | None) -> str | None:
        """A bare answer as the grader likes it."""
        return None if value is None or self.rendering is None else self.rendering.framed(value)

    def answer(self, row: Row) -> str | None:
        """The answer that should earn the most."""
        return self.framed(self.value(row))

    def others(self, row: Row) -> list[str]:
        """Bare answers of other rows, those that follow the row first, so that rows get different ones."""
        own = self.value(row)
        place = self.values.index(own) + 1 if own in self.values else 0
        return [value for value in (*self.values[place:], *self.values[:place]) if value != own]


def find_references(rows: Sequence[Row], rate: Rate, *, enough: float, margin: float, with_frames: bool) -> References:
    """Try renderings on a few rows and keep the one that earns most, the plainest of equals.

    Args:
        rows: all rows of the test.
        rate: asks the grader.
        enough: a mean score with which no frame is tried, and references that look like criteria are answers.
        margin: what a frame must earn more, to be used.
        with_frames: try frames at all.
    """
    bare = bare_renderings(rows)
    if not bare:
        return References(rows, None)
    probed = [row for row in rows if any(rendering.value(row) is not None for rendering in bare)][:PROBED_ROWS]
    best, most = _best(bare, probed, rate)
    if most < enough and with_frames:
        framed, framed_most = _best(framed_renderings(bare), probed[: PROBED_ROWS // 2], rate)
        # A little more is what a few characters more earn, where length counts.
        if framed_most > most + margin:
            best, most = framed, framed_most
    if most < enough and are_criteria(rows):
        return References(rows, None)
    return References(rows, best)


def _best(renderings: Sequence[Rendering], rows: Sequence[Row], rate: Rate) -> tuple[Rendering, float]:
    """The rendering with the highest mean; a row for which it has no answer counts as 0."""
    tried = [
        (rendering, row, rendering.framed(value))
        for rendering in renderings
        for row in rows
        if (value := rendering.value(row)) is not None
    ]
    found: dict[Rendering, list[float]] = {rendering: [] for rendering in renderings}
    for (rendering, _, _), rating in zip(tried, rate([(row, text) for _, row, text in tried]), strict=True):
        if rating is not None:
            found[rendering].append(rating)
    means = {rendering: sum(ratings) / len(rows) if ratings else -math.inf for rendering, ratings in found.items()}
    best = max(renderings, key=lambda rendering: means[rendering])
    return best, means[best]
