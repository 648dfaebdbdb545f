"""The held-out split: stable, small, and without a prompt on both sides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuneward.data import split_holdout
from tuneward.errors import DataError
from tuneward.types import Row


def rows_of(prompts: list[str]) -> list[Row]:
    return [Row(f"r{n}", ({"role": "user", "content": text},), line=n + 1) for n, text in enumerate(prompts)]


def ids(rows: list[Row]) -> set[str]:
    return {row.id for row in rows}


def test_the_split_has_the_share_asked_for_and_at_most_200_rows():
    rows = rows_of([f"p {n}" for n in range(3000)])
    assert [len(part) for part in split_holdout(rows[:500], 0.1, 0)] == [450, 50]
    assert [len(part) for part in split_holdout(rows, 0.1, 0)] == [2800, 200]
    assert [len(part) for part in split_holdout(rows[:3], 0.01, 0)] == [2, 1]


def test_order_does_not_matter_and_the_seed_does():
    rows = rows_of([f"p {n}" for n in range(300)])
    held = ids(split_holdout(rows, 0.1, 7)[1])
    assert ids(split_holdout(rows[::-1], 0.1, 7)[1]) == held
    assert ids(split_holdout(rows, 0.1, 8)[1]) != held


@given(
    prompts=st.lists(st.sampled_from(["a", "A ", "b", "c", "d", "e", "f"]), min_size=1, max_size=40),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**31 - 1),
)
def test_nothing_is_lost_and_no_prompt_is_on_both_sides(prompts, share, seed):
    rows = rows_of(prompts)
    distinct = {text.strip().lower() for text in prompts}
    if len(distinct) < 2:
        with pytest.raises(DataError, match="cannot be split"):
            split_holdout(rows, share, seed)
        return
    train, held = split_holdout(rows, share, seed)
    assert sorted(train + held, key=lambda row: row.line) == rows
    assert train == sorted(train, key=lambda row: row.line)
    assert train
    assert held
    sides = [{str(row.messages[0]["content"]).strip().lower() for row in part} for part in (train, held)]
    assert not sides[0] & sides[1]


def test_prompts_repeated_too_often_to_hold_out_are_an_error():
    with pytest.raises(DataError, match="more than 200 times"):
        split_holdout(rows_of(["a"] * 201 + ["b"] * 201), 0.1, 0)
