"""Which prompts a step uses: a function of (seed, step), so that resuming needs no cursor but the step."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class PromptSchedule(Generic[T]):
    """Batches of prompts, or of whatever else is learned from, epoch by epoch.

    An epoch's incomplete last batch is left out; since every epoch has another order, no row is left out always.

    Args:
        prompts: what an epoch visits.
        prompts_per_step: batch size; capped at the number of prompts.
        seed: of the orders.
        shuffle: whether to change the order at all.
    """

    def __init__(self, prompts: Sequence[T], prompts_per_step: int, *, seed: int, shuffle: bool):
        self._prompts = prompts
        self._size = min(prompts_per_step, len(prompts))
        self._seed = seed
        self._shuffle = shuffle
        self.steps_per_epoch = len(prompts) // self._size

    def total_steps(self, epochs: int, max_steps: int | None) -> int:
        steps = self.steps_per_epoch * epochs
        return steps if max_steps is None else min(steps, max_steps)

    def batch(self, step: int) -> list[T]:
        """Prompts of a step, counted from 1."""
        epoch, index = divmod(step - 1, self.steps_per_epoch)
        order = list(range(len(self._prompts)))
        if self._shuffle:
            random.Random(f"{self._seed}/{epoch}").shuffle(order)
        return [self._prompts[i] for i in order[index * self._size : (index + 1) * self._size]]

    def epoch(self, step: int) -> float:
        """Passes over the rows completed after a step."""
        return step / self.steps_per_epoch
