"""The course of a number in a few points: means of equally many steps, however long the run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuneward.jobs.trend import POINTS, Trend


def trend_of(values: list[float]) -> dict[str, Any]:
    trend = Trend()
    for step, value in enumerate(values, start=1):
        trend.add(step, value)
    return trend.told()


def test_a_short_run_is_told_step_by_step() -> None:
    assert trend_of([0.1, 0.2, 0.3]) == {"every": 1, "values": [0.1, 0.2, 0.3]}


def test_nothing_is_told_before_the_first_step() -> None:
    assert trend_of([]) == {"every": 1, "values": []}


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=700))
def test_points_are_means_of_as_many_steps_each(values: list[float]) -> None:
    told = trend_of(values)
    every = told["every"]
    parts = [values[start : start + every] for start in range(0, len(values), every)]
    assert told["values"] == pytest.approx([sum(part) / len(part) for part in parts], rel=1e-4, abs=1e-6)
    assert len(told["values"]) <= POINTS
    assert every == 1 or len(told["values"]) > POINTS / 2


def test_steps_without_the_number_leave_a_gap() -> None:
    trend = Trend()
    trend.add(1, 0.5)
    trend.add(3, 0.7)
    assert trend.told()["values"] == [0.5, None, 0.7]


def test_a_step_far_behind_the_others_makes_room_for_itself() -> None:
    trend = Trend()
    trend.add(1, 1.0)
    trend.add(100_000, 2.0)
    told = trend.told()
    assert len(told["values"]) <= POINTS
    assert (told["values"][0], told["values"][-1]) == (1.0, 2.0)
