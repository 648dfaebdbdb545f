"""A run killed at any named point and resumed ends as the run that was never interrupted, byte for byte."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ToyJob

from tuneward.runs.rollout_reader import GroupQuery, RolloutReader

DRIVER = """
import os, signal, sys
import tuneward.points as points

name, count = sys.argv[1], int(sys.argv[2])
seen = 0

def reached(point):
    global seen
    if point == name:
        seen += 1
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)

points.reached = reached  # before anything imports it by name
sys.argv = ["tuneward", *sys.argv[3:]]
from tuneward.cli.app import main
main()
"""

POINTS = [
    ("step.sampled", 4),
    ("step.recorded", 4),
    ("save.renamed", 3),
    *(
        pytest.param(*point, marks=pytest.mark.slow)
        for point in (
            ("step.sampled", 1),
            ("step.updated", 3),
            ("evaluation.done", 1),
            ("save.written", 1),
            ("save.written", 4),
            ("save.manifest", 3),
            ("save.pruned", 5),
        )
    ),
]


def drive(point: str, count: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", DRIVER, point, str(count), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "120"})


def what_a_run_leaves(run: Path) -> dict[str, Any]:
    """Adapter bytes and every metric value, without what the clock, the process or the resuming changes."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for record in records:
        record.pop("timing", None)
    result = json.loads((run / "result.json").read_text())
    for name in ("train_seconds", "total_seconds", "memory"):
        result.pop(name)
    csv = (run / "validation_metrics.csv").read_text().splitlines()
    return {
        "adapter": (run / "adapter" / "adapter_model.safetensors").read_bytes(),
        "newest": (max((run / "checkpoints").glob("step-*")) / "optimizer.safetensors").read_bytes(),
        # "reward_wait" is about the clock, like everything under "timing".
        "records": [record for record in records if record.get("code") not in ("resumed", "reward_wait")],
        "result": result,
        "evaluations": {path.name: path.read_bytes() for path in (run / "evaluations").iterdir()},
        "csv_rows": len(csv),
        "rollouts": rollouts_in(run),
    }


def rollouts_in(run: Path) -> list[Any]:
    """Every sample of every step, without what the clock says of its grading."""
    reader, found = RolloutReader(run / "rollouts.db"), []
    for step in reader.steps(most=1000)[0]:
        for card in reader.groups(GroupQuery(step=step["step"]))[0]:
            group = reader.group(step["step"], card["row"], with_tokens=True)
            assert group is not None
            del group["key"]
            for sample in group["data"]:
                del sample["receipt"]
            found.append(group)
    return found


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, Any]:
    """Filled by the first test that needs it."""
    return {}


@pytest.mark.parametrize(("point", "count"), POINTS)
def test_killed_and_resumed_equals_uninterrupted(
    toy_job: ToyJob, uninterrupted: dict[str, Any], point: str, count: int
) -> None:
    config = toy_job.config()
    if not uninterrupted:
        whole = drive("never", 1, "train", config, "--name", "whole")
        assert whole.returncode == 0, whole.stderr
        uninterrupted.update(what_a_run_leaves(toy_job.folder / "runs" / "whole"))

    killed = drive(point, count, "train", config)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (toy_job.run / "result.json").exists()
    resumed = drive("never", 1, "train", "--resume", toy_job.run)
    assert resumed.returncode == 0, resumed.stderr

    left = what_a_run_leaves(toy_job.run)
    left["result"]["run"] = uninterrupted["result"]["run"]
    for part, value in uninterrupted.items():
        assert left[part] == value, part


@pytest.mark.slow
def test_killed_twice_and_resumed_equals_uninterrupted(toy_job: ToyJob, uninterrupted: dict[str, Any]) -> None:
    config = toy_job.config()
    if not uninterrupted:
        drive("never", 1, "train", config, "--name", "whole")
        uninterrupted.update(what_a_run_leaves(toy_job.folder / "runs" / "whole"))
    drive("save.manifest", 2, "train", config)
    drive("step.updated", 2, "train", "--resume", toy_job.run)
    drive("never", 1, "train", "--resume", toy_job.run)
    assert what_a_run_leaves(toy_job.run)["adapter"] == uninterrupted["adapter"]
