"""Graders over handlers written to a temporary folder; every grader is closed at the end of its test."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tuneward.config import RewardConfig
from tuneward.rewards import LambdaFileGrader
from tuneward.types import Row, Sample

OK_PREAMBLE = """
def scores(event):
    return [{"id": item["id"], "aggregate_reward_score": float(len(item["messages"][-1]["content"]))}
            for item in event]

def has(event, word):
    return any(word in item["messages"][-1]["content"] for item in event)
"""
"""Helpers every handler below may use; the score of a completion is its length."""

MakeGrader = Callable[..., LambdaFileGrader]


@pytest.fixture
def make_grader(tmp_path: Path) -> Iterator[MakeGrader]:
    graders: list[LambdaFileGrader] = []

    def make(source: str, import_timeout_s: float = 30.0, **config: Any) -> LambdaFileGrader:
        file = tmp_path / "reward.py"
        file.write_text(OK_PREAMBLE + dedent(source))
        settings = RewardConfig(file=file, **{"retries": 0, "timeout_s": 10.0, **config})
        graders.append(LambdaFileGrader(settings, import_timeout_s=import_timeout_s, backoff_s=0.001))
        return graders[-1]

    yield make
    for grader in graders:
        grader.close()


@pytest.fixture
def samples() -> Callable[..., list[Sample]]:
    def make(*completions: str) -> list[Sample]:
        row = Row("r", ({"role": "user", "content": "7*8?"},), {"value": 56}, {"difficulty_level": "easy"})
        return [Sample(f"s-{index}", row, text) for index, text in enumerate(completions)]

    return make


@pytest.fixture
def wait_gone() -> Callable[[int], None]:
    """Waits until a process has ended; one that only waits to be reaped by its parent has."""

    def is_gone(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return True

    def wait(pid: int, limit_s: float = 10.0) -> None:
        until = time.monotonic() + limit_s
        while not is_gone(pid):
            if time.monotonic() > until:
                os.kill(pid, 9)
                pytest.fail(f"process {pid} is still there after {limit_s} s")
            time.sleep(0.005)

    return wait
