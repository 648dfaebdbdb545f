"""Numbers of a job as columns."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from scipy import stats
from sqlalchemy.orm import Session

from tuneward.evaluation.intervals import mean_interval, share_interval
from tuneward.jobs import series as module
from tuneward.jobs.metric_names import metric_names
from tuneward.jobs.series import read_series
from tuneward.jobs.service import add_event
from tuneward.store.database import Database
from tuneward.store.tables import Job, Project

DEFAULTS: dict[str, Any] = {
    "spec": {"method": "reinforcement"},
    "phases": {},
    "progress": {},
    "result_files": [],
    "request": {},
}


def job_with(database: Database, *records: dict[str, Any], name: str = "one", **fields: Any) -> Job:
    job = Job(
        id=name, project_id="proj", created_by="key", name=name, state="running", dialect="openai", model="tiny",
        created_at=0.0, updated_at=0.0, **{**DEFAULTS, **fields},
    )  # fmt: skip

    def work(session: Session) -> None:
        session.merge(Project(id="proj", name="proj", account_id="1", created_at=0.0))
        session.flush()
        session.add(job)
        session.flush()

    database.write(work)
    add(database, job, *records)
    return job


def add(database: Database, job: Job, *records: dict[str, Any]) -> None:
    def work(session: Session) -> None:
        row = session.get_one(Job, job.id)
        for record in records:
            kind = record["kind"]
            if kind == "message":
                add_event(session, row, "note", "between")
            else:
                add_event(session, row, kind, "", kind="metrics", data=record)

    database.write(work)


def step(number: int, **values: Any) -> dict[str, Any]:
    return {"kind": "step", "step": number, **values}


def test_each_metric_is_a_column_with_gaps_where_a_record_lacks_it(database: Database) -> None:
    job = job_with(
        database,
        step(1, entropy=0.5, timing={"seconds_step": 2.0}),
        {"kind": "message"},
        {"kind": "evaluation", "step": 1, "reward_mean": 0.7},
        step(2, loss=0.1, timing={}, skipped="non-finite"),
        step(3, entropy=0.25, epoch=1),
    )
    found = read_series(database, job, "step")
    assert found.steps == [1, 2, 3]
    assert found.columns == {
        "entropy": [0.5, None, 0.25],
        "loss": [None, 0.1, None],
        "epoch": [None, None, 1],
        "timing/seconds_step": [2.0, None, None],
    }
    assert len(found.times) == 3
    assert read_series(database, job, "evaluation").columns == {"reward_mean": [0.7]}


def test_columns_stay_in_line_over_slices(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE", 2)
    job = job_with(database, step(1, a=1), step(2, a=2), step(3, b=3), step(4, a=4), step(5, b=5))
    found = read_series(database, job, "step")
    assert found.columns == {"a": [1, 2, None, 4, None], "b": [None, None, 3, None, 5]}
    asked = read_series(database, job, "step", keys=["b", "absent"])
    assert asked.columns == {"b": [None, None, 3, None, 5], "absent": [None] * 5}


def test_what_is_known_is_not_read_again(database: Database) -> None:
    job = job_with(database, step(1, a=1), step(2, a=2))
    first = read_series(database, job, "step")
    assert read_series(database, job, "step", after=first.last).steps == []
    assert read_series(database, job, "step", after=first.last).last == first.last
    other = job_with(database, step(1, a=9), name="two")
    add(database, job, step(3, a=3))
    second = read_series(database, job, "step", after=first.last)
    assert (second.steps, second.columns) == ([3], {"a": [3]})
    assert read_series(database, other, "step").columns == {"a": [9]}


def test_longer_runs_become_means_of_neighbours(database: Database) -> None:
    job = job_with(database, *(step(i, a=float(i), **({"b": 1.0} if i % 2 else {})) for i in range(1, 8)))
    found = read_series(database, job, "step", max_points=4)
    assert found.steps == [2, 4, 6, 7]
    assert found.columns["a"] == [1.5, 3.5, 5.5, 7.0]
    assert found.columns["b"] == [1.0, 1.0, 1.0, 1.0]


def test_of_very_long_runs_only_so_many_records_are_read_and_the_newest_always(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_READ", 4)
    job = job_with(database, *(step(i, a=i) for i in range(1, 12)))
    found = read_series(database, job, "step")
    assert found.steps == [2, 5, 8, 11]
    assert found.last == read_series(database, job, "step", after=found.last).last


def test_an_evaluation_has_the_interval_of_its_mean_over_the_rows_scored(database: Database) -> None:
    rewards = [0.0, 0.5, 1.0, 0.25]
    mean, std = sum(rewards) / 4, float(stats.tstd(rewards))
    record = {"kind": "evaluation", "step": 0, "reward_mean": mean, "reward_std": std, "exact": 0.25, "rows": 5}
    job = job_with(database, record | {"grader_errors": 1})
    columns = read_series(database, job, "evaluation").columns
    low, high = stats.t.interval(0.95, 3, loc=mean, scale=stats.sem(rewards))
    assert columns["reward_low"] == [pytest.approx(low)]
    assert columns["reward_high"] == [pytest.approx(high)]
    wilson = stats.binomtest(1, 4).proportion_ci(0.95, method="wilson")
    assert (columns["exact_low"], columns["exact_high"]) == ([pytest.approx(wilson.low)], [pytest.approx(wilson.high)])


def test_a_step_has_the_interval_over_its_prompts_and_none_before_they_are_known(database: Database) -> None:
    record = step(1, reward_mean=0.5, reward_std=0.2)
    planned = job_with(database, record, progress={"plan": {"batch_size": 9}})
    low, high = stats.t.interval(0.95, 8, loc=0.5, scale=0.2 / 3)
    columns = read_series(database, planned, "step", keys=["reward_low", "reward_high"]).columns
    assert (columns["reward_low"], columns["reward_high"]) == ([pytest.approx(low)], [pytest.approx(high)])
    unplanned = job_with(database, record, name="two")
    assert "reward_low" not in read_series(database, unplanned, "step").columns


def test_an_interval_needs_values() -> None:
    assert mean_interval(0.5, 0.1, 1) is None
    assert share_interval(0.5, 0) is None
    low, high = share_interval(1.0, 8) or (math.nan, math.nan)
    assert (0.6 < low < 0.7, high) == (True, 1.0)


def test_metrics_are_named_with_their_meaning_where_they_were_seen(database: Database) -> None:
    evaluation = {"kind": "evaluation", "step": 0, "reward_mean": 0.1, "timing": {"seconds": 1.0}}
    odd = 'metric/"quoted"\N{REPLACEMENT CHARACTER}/part'
    job = job_with(
        database,
        step(1, **{"reward_mean": 0.1, odd: 1.0, "fault/exact/timeout": 0.5}, timing={"seconds_step": 1.0}),
        evaluation,
    )
    named = {(name.metric.name, name.kind): name.metric for name in metric_names(database, job)}
    assert named["reward_mean", "step"].title == "Training reward"
    assert named["reward_mean", "evaluation"].title == "Validation reward"
    assert named["timing/seconds_step", "step"].unit == "s"
    assert named["fault/exact/timeout", "step"].unit == "share"
    assert named["timing/seconds", "evaluation"].title == "Evaluation time"
    assert json.dumps(named[odd, "step"].title)
    supervised = job_with(database, step(1, loss=0.5), name="two", spec={"method": "supervised"})
    assert [name.metric.unit for name in metric_names(database, supervised)] == ["nats/token"]
