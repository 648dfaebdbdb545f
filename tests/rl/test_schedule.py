"""Which prompts each step uses."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneward.rl.schedule import PromptSchedule
from tuneward.types import Prompt, Row


def schedule(count: int, per_step: int, *, seed: int = 0, shuffle: bool = True) -> PromptSchedule:
    prompts = [Prompt(Row(str(i), ()), (1, i)) for i in range(count)]
    return PromptSchedule(prompts, per_step, seed=seed, shuffle=shuffle)


def ids(made: PromptSchedule, steps: range) -> list[list[str]]:
    return [[prompt.id for prompt in made.batch(step)] for step in steps]


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 99), st.booleans())
def test_an_epoch_uses_no_prompt_twice_and_leaves_out_less_than_a_batch(
    count: int, per_step: int, seed: int, shuffle: bool
) -> None:
    made = schedule(count, per_step, seed=seed, shuffle=shuffle)
    for epoch in range(3):
        first = epoch * made.steps_per_epoch + 1
        batches = ids(made, range(first, first + made.steps_per_epoch))
        assert {len(batch) for batch in batches} == {min(per_step, count)}
        used = Counter(name for batch in batches for name in batch)
        assert set(used.values()) == {1}
        assert count - len(used) < min(per_step, count)


def test_a_step_has_the_same_batch_whatever_was_asked_before() -> None:
    fresh, used = schedule(20, 4, seed=3), schedule(20, 4, seed=3)
    ids(used, range(1, 30))
    assert ids(used, range(13, 14)) == ids(fresh, range(13, 14))


def test_every_epoch_has_another_order_and_every_seed_too() -> None:
    made = schedule(20, 4, seed=3)
    assert ids(made, range(1, 6)) != ids(made, range(6, 11))
    assert ids(made, range(1, 6)) != ids(schedule(20, 4, seed=4), range(1, 6))


def test_without_shuffling_rows_come_in_the_files_order_in_every_epoch() -> None:
    made = schedule(5, 2, shuffle=False)
    assert ids(made, range(1, 5)) == [["0", "1"], ["2", "3"], ["0", "1"], ["2", "3"]]


def test_shuffling_reaches_the_rows_that_one_epoch_leaves_out() -> None:
    made = schedule(5, 2)
    assert {name for batch in ids(made, range(1, 41)) for name in batch} == {"0", "1", "2", "3", "4"}


@pytest.mark.parametrize(("epochs", "max_steps", "expected"), [(1, None, 5), (3, None, 15), (3, 7, 7), (1, 7, 5)])
def test_total_steps_are_those_of_the_epochs_within_the_limit(
    epochs: int, max_steps: int | None, expected: int
) -> None:
    assert schedule(20, 4).total_steps(epochs, max_steps) == expected


def test_the_epoch_number_counts_finished_passes() -> None:
    made = schedule(20, 4)
    assert [made.epoch(step) for step in (1, 5, 10)] == [0.2, 1.0, 2.0]
