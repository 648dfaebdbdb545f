"""What a job's process keeps of its numbers for lists: the course of the training reward, the best validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tuneward.jobs.process.context import JobContext
from tuneward.jobs.process.watching import JobWatcher
from tuneward.store.tables import Job


@dataclass
class Written:
    """A journal that writes at once, to one row."""

    row: Any = field(default_factory=lambda: SimpleNamespace(progress={}, updated_at=0.0))

    def add(self, write: Any) -> None:
        write(None, cast(Job, self.row))

    def event(self, *_: Any, **__: Any) -> None:
        return


def progress_after(method: str, *records: dict[str, Any]) -> dict[str, Any]:
    written = Written()
    context = cast(JobContext, SimpleNamespace(spec=SimpleNamespace(method=method), journal=written))
    watcher = JobWatcher(context, cast(Any, None))
    for record in records:
        watcher.write(record)
    return cast(dict[str, Any], written.row.progress)


def step(number: int, **numbers: float) -> dict[str, Any]:
    return {"kind": "step", "step": number, **numbers}


def evaluation(number: int, **numbers: float) -> dict[str, Any]:
    return {"kind": "evaluation", "step": number, **numbers}


def test_the_training_reward_is_kept_from_the_first_step_on() -> None:
    progress = progress_after("reinforcement", *(step(number, reward_mean=number / 10) for number in (1, 2, 3)))
    assert progress["trend"] == {"every": 1, "values": [0.1, 0.2, 0.3]}


def test_a_step_of_which_nothing_could_be_scored_leaves_a_gap() -> None:
    progress = progress_after("reinforcement", step(1, reward_mean=0.5), step(2), step(3, reward_mean=0.7))
    assert progress["trend"]["values"] == [0.5, None, 0.7]


@pytest.mark.parametrize(
    ("method", "metric", "values", "best"),
    [
        ("reinforcement", "reward_mean", {0: 0.5, 10: 0.3, 20: 0.8, 30: 0.6}, (0.8, 20)),
        ("supervised", "loss", {0: 2.5, 10: 1.5, 20: 1.25, 30: 1.75}, (1.25, 20)),
    ],
)
def test_the_base_and_the_best_validation_are_kept(
    method: str, metric: str, values: dict[int, float], best: tuple[float, int]
) -> None:
    progress = progress_after(method, *(evaluation(at, **{metric: value}) for at, value in values.items()))
    assert progress["validations"] == {"base": values[0], "best": best[0], "best_step": best[1]}


def test_the_base_model_is_not_the_best_of_what_was_trained() -> None:
    progress = progress_after(
        "reinforcement", evaluation(0, reward_mean=0.9), evaluation(10, reward_mean=0.5), evaluation(20)
    )
    assert progress["validations"] == {"base": 0.9, "best": 0.5, "best_step": 10}
