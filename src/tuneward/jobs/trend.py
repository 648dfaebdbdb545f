"""The course of a number over a whole run, in a few points: what a list of jobs draws beside each."""

from __future__ import annotations

POINTS = 60
"""Most of them; from half as many on, once there are so many steps."""


class Trend:
    """Means of equally many steps each, however long a run gets."""

    def __init__(self) -> None:
        self._every = 1
        self._sums: list[tuple[float, int]] = []

    def add(self, step: int, value: float) -> None:
        """Take the number of a step, counted from 1."""
        while (step - 1) // self._every >= POINTS:
            pairs = zip(self._sums[::2], [*self._sums[1::2], (0.0, 0)], strict=False)
            self._sums = [(left[0] + right[0], left[1] + right[1]) for left, right in pairs]
            self._every *= 2
        place = max(0, (step - 1) // self._every)
        self._sums.extend([(0.0, 0)] * (place + 1 - len(self._sums)))
        total, count = self._sums[place]
        self._sums[place] = (total + value, count + 1)

    def told(self) -> dict[str, int | list[float | None]]:
        """`every`: steps of a point; `values`: their means, None where no step had the number."""
        values = [float(f"{total / count:.5g}") if count else None for total, count in self._sums]
        return {"every": self._every, "values": values}
