"""A supervised run on a tiny model: what it leaves behind, and how it stops, resumes and is built on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Outcome, ToyJob, write_rows

Cli = Callable[..., Outcome]


@pytest.fixture
def job(tmp_path: Path, tiny_chat_model: Path) -> Callable[..., Path]:
    rows = [
        {"messages": [{"role": "user", "content": f"Count to {i}"}, {"role": "assistant", "content": f"one, {i}."}]}
        for i in range(12)
    ]
    write_rows(tmp_path / "talks.jsonl", rows)

    def configure(name: str, **training: Any) -> Path:
        tree = {
            "model": str(tiny_chat_model),
            "threads": 1,
            "data": {"train": "talks.jsonl", "holdout_share": 0.2},
            "lora": {"r": 4},
            "training": {"learning_rate": 1e-2, "rows_per_step": 4, "epochs": 2} | training,
            "run": {"root": str(tmp_path / "runs"), "name": name, "checkpoint_every_steps": 1},
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps(tree))
        return path

    return configure


def records(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def test_a_run_learns_and_leaves_an_adapter_that_answers(cli: Cli, job: Callable[..., Path], tmp_path: Path) -> None:
    done = cli("sft", job("talks"), "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    run = tmp_path / "runs" / "talks"
    assert result == json.loads((run / "result.json").read_text())
    assert result["tuned"]["loss"] < result["base"]["loss"]
    assert result["is_complete"] is True
    assert [record["step"] for record in records(run, "evaluation")] == [0, 2, 4]
    steps = records(run, "step")
    assert [record["step"] for record in steps] == [1, 2, 3, 4]
    assert {"loss", "token_accuracy", "grad_norm", "learning_rate", "trained_tokens"} <= steps[0].keys()
    table = (run / "validation_metrics.csv").read_text().splitlines()
    assert table[1].split(",")[table[0].split(",").index("validation_loss")]
    assert cli("generate", "talks", "Count to 3", "--max-tokens", 4, "--root", tmp_path / "runs").code == 0
    assert cli("runs", "list", "--root", tmp_path / "runs").code == 0


def test_a_resumed_run_ends_as_one_that_never_stopped(cli: Cli, job: Callable[..., Path], tmp_path: Path) -> None:
    assert cli("sft", job("whole")).code == 0
    assert cli("sft", job("halves"), "--set", "run.stop_at=3").code == 0
    assert not json.loads((tmp_path / "runs" / "halves" / "result.json").read_text())["is_complete"]
    resumed = cli("sft", "--resume", "halves", "--root", tmp_path / "runs")
    assert resumed.code == 0, resumed.err
    adapters = [
        (tmp_path / "runs" / name / "adapter" / "adapter_model.safetensors").read_bytes()
        for name in ("whole", "halves")
    ]
    assert adapters[0] == adapters[1]
    again = cli("sft", "--resume", "halves", "--root", tmp_path / "runs")
    assert again.code == 6
    assert "is finished" in again.err


def test_a_reward_builds_on_what_was_learned(
    cli: Cli, job: Callable[..., Path], tmp_path: Path, toy_job: ToyJob
) -> None:
    assert cli("sft", job("start")).code == 0
    adapter = tmp_path / "runs" / "start" / "adapter"
    done = cli("train", toy_job.config(lora={"init_from": str(adapter)}, training={"max_steps": 1}))
    assert done.code == 0, done.err


def test_changed_data_is_not_resumed_on(cli: Cli, job: Callable[..., Path], tmp_path: Path) -> None:
    assert cli("sft", job("changed"), "--set", "run.stop_at=1").code == 0
    with (tmp_path / "talks.jsonl").open("a") as file:
        file.write('{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}\n')
    refused = cli("sft", "--resume", "changed", "--root", tmp_path / "runs")
    assert refused.code == 6
    assert "has changed" in refused.err
