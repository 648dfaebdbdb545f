"""Compositions, the held-out grader and failures in a whole run: what is recorded, shown, and survived."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.conftest import Outcome, ToyJob

Cli = Callable[..., Outcome]

HANDLER = """
def lambda_handler(event, context):
    rows = [(item["id"], item["messages"][-1]["content"]) for item in event]
    return [{{"id": key, "aggregate_reward_score": float({body})}} for key, text in rows]
"""
LETTERS = "sum(c.isascii() and c.isalpha() for c in text) / max(1, len(text))"


def write_handler(toy_job: ToyJob, name: str, body: str) -> str:
    (toy_job.folder / name).write_text(HANDLER.format(body=body))
    return name


def records_of(toy_job: ToyJob, kind: str) -> list[dict[str, Any]]:
    lines = (toy_job.run / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def compose(toy_job: ToyJob, **more: Any) -> dict[str, Any]:
    """A reward of two parts and one that only measures, all of them files."""
    parts = {
        "letters": {"file": write_handler(toy_job, "letters.py", LETTERS), "weight": 0.75},
        "has_text": {"file": write_handler(toy_job, "text.py", "len(text) > 0"), "gate": 0.5, "weight": 0.25},
        "size": {"file": write_handler(toy_job, "size.py", "len(text)"), "weight": 0},
    }
    return {"file": None, "compose": {"parts": parts}, **more}


def test_parts_and_held_out_scores_are_recorded_compared_and_shown(cli: Cli, toy_job: ToyJob) -> None:
    held_out = {"held_out": {"file": write_handler(toy_job, "held_out.py", LETTERS + " * 10")}}
    outcome = cli("train", toy_job.config(reward=compose(toy_job, **held_out)))
    assert outcome.code == 0, outcome.err

    for record in records_of(toy_job, "step"):
        gate = record["metric/has_text"]
        assert (
            record["reward_mean"] == pytest.approx(0.75 * record["metric/letters"] + 0.25 * gate, abs=1e-6) or gate < 1
        )
        assert {"metric/size", "metric/gated", "verdict_ok", "verdict_timeout"} <= record.keys()
    measured = sum(record.get("held_out_samples", 0) for record in records_of(toy_job, "step"))
    assert measured <= 5 * 2  # one completion a group, two groups a step

    evaluations = records_of(toy_job, "evaluation")
    for record in evaluations:
        assert record["held_out"] == pytest.approx(10 * record["metric/letters"])
        assert (record["held_out_samples"], record["held_out_errors"]) == (4, 0)

    result = json.loads((toy_job.run / "result.json").read_text())
    assert result["base"]["held_out"] == pytest.approx(evaluations[0]["held_out"])
    held_out_moved = result["tuned"]["held_out"] - result["base"]["held_out"]
    assert result["held_out"]["difference"] == pytest.approx(held_out_moved)
    manifest = json.loads((toy_job.run / "manifest.json").read_text())
    assert manifest["grader"].startswith("compose@")
    assert manifest["held_out"].startswith("held_out.py@")

    report = (toy_job.run / "report.html").read_text()
    for shown in ("Held-out reward, validation", "<h3>Held-out reward</h3>", "<h3>Has text</h3>", "<h3>Letters</h3>"):
        assert shown in report
    assert "The held-out grader, which nothing was trained on, gave" in report
    assert "held-out" in outcome.out
    assert "held_out" in json.loads(cli("evaluate", "toy", "--root", toy_job.folder / "runs", "--json").out)


def test_a_held_out_grader_changes_nothing_that_is_trained_and_its_failures_end_nothing(
    cli: Cli, toy_job: ToyJob
) -> None:
    assert cli("train", toy_job.config(), "--name", "plain").code == 0
    held_out = {"held_out": {"file": write_handler(toy_job, "held_out.py", "1 / 0"), "retries": 0}}
    outcome = cli("train", toy_job.config(reward=held_out))
    assert outcome.code == 0, outcome.err
    adapters = [
        (toy_job.folder / "runs" / name / "adapter" / "adapter_model.safetensors").read_bytes()
        for name in ("plain", "toy")
    ]
    assert adapters[0] == adapters[1]
    for record in records_of(toy_job, "evaluation"):
        assert (record["held_out_samples"], record["held_out_errors"], record["grader_errors"]) == (0, 4, 0)
        assert "held_out" not in record
    result = json.loads((toy_job.run / "result.json").read_text())
    assert "held_out" not in result["tuned"]
    assert (result["held_out"]["n"], result["held_out"]["difference"]) == (0, None)


def test_a_held_out_grader_that_cannot_be_built_is_told_before_anything_is_done(cli: Cli, toy_job: ToyJob) -> None:
    outcome = cli("train", toy_job.config(reward={"held_out": {"file": "missing.py"}}))
    assert outcome.code == 5
    assert "missing.py" in outcome.err
    assert "reward.held_out.file" in outcome.err
    assert not toy_job.run.exists()


def test_resume_refuses_a_changed_held_out_grader(cli: Cli, toy_job: ToyJob) -> None:
    name = write_handler(toy_job, "held_out.py", "1")
    assert cli("train", toy_job.config(reward={"held_out": {"file": name}}), "--stop-at", 1).code == 0
    write_handler(toy_job, name, "2")
    outcome = cli("train", "--resume", toy_job.run)
    assert outcome.code == 6
    assert "held-out grader is held_out.py@" in outcome.err


FRAGILE = """
def lambda_handler(event, context):
    scores = []
    for item in event:
        text = item["messages"][-1]["content"]
        letters = sum(c.isascii() and c.isalpha() for c in text)
        if letters < 1:
            raise ValueError("no letters")
        scores.append({"id": item["id"], "aggregate_reward_score": letters / len(text)})
    return scores
"""
"""Fails on answers without letters; one sample a call, so that only those fail."""


def test_failures_count_as_zero_where_the_configuration_says_so(cli: Cli, toy_job: ToyJob) -> None:
    (toy_job.folder / "reward.py").write_text(FRAGILE)
    reward = {"on_failure": "zero", "error_budget": 1.0, "retries": 0, "batch_size": 1}
    outcome = cli("train", toy_job.config(reward=reward, training={"max_completion_tokens": 2, "max_steps": 3}))
    assert outcome.code == 0, outcome.err
    steps = records_of(toy_job, "step")
    failed = sum(record["grader_errors"] for record in steps)
    assert 0 < failed == sum(record["verdict_error"] for record in steps)
    assert sum(record["verdict_ok"] for record in steps) == 3 * 8 - failed
    assert all(record["reward_min"] == 0.0 for record in steps if record["grader_errors"])
    base = [json.loads(line) for line in (toy_job.run / "evaluations" / "step-000000.jsonl").read_text().splitlines()]
    assert all(row["reward"] is not None for row in base)
    assert records_of(toy_job, "evaluation")[0]["grader_errors"] == sum(row["reward"] == 0 for row in base)


def test_a_run_that_stops_for_failures_names_the_part_that_failed(cli: Cli, toy_job: ToyJob) -> None:
    reward = compose(toy_job, on_failure="fail")
    reward["compose"]["parts"]["letters"] |= {"retries": 0, "batch_size": 1}
    (toy_job.folder / "letters.py").write_text(FRAGILE)
    outcome = cli("train", toy_job.config(reward=reward, training={"max_completion_tokens": 2}))
    assert outcome.code == 5
    assert "compose@" in outcome.err
    assert "part letters: letters.py, line 8: lambda_handler raised ValueError: no letters" in outcome.err
