"""Graders in a sandbox whose completions are the code that is run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.rewards.sandbox.scene import SECRET

from tuneward.rewards.event_grader import EventGrader
from tuneward.rewards.pool import ProcessPool
from tuneward.rewards.program import Program
from tuneward.rewards.sandbox.probe import sandbox_problem

HANDLER = b"""
def lambda_handler(event, context):
    scope = {"event": event, "reward": 1.0}
    for item in event:
        exec(item["messages"][-1]["content"], scope)
    return scope.get("answer", [{"id": item["id"], "aggregate_reward_score": scope["reward"]} for item in event])
"""

MakeGrader = Callable[..., EventGrader]


@pytest.fixture(scope="module")
def make_program_grader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeGrader]:
    """Builds graders of a Program in a sandbox; a secret of the trainer is in its environment and beside the file."""
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    graders: list[EventGrader] = []
    project = tmp_path_factory.mktemp("project")
    (project / "secret.txt").write_text(SECRET)
    os.environ["TUNEWARD_REWARD_KEY"] = SECRET

    def make(source: bytes = HANDLER, workers: int = 1, batch_size: int = 1, **fields: Any) -> EventGrader:
        settings = {
            "path": project / "reward.py",
            "isolation": "sandbox",
            "timeout_s": 300.0,
            "memory_mb": 256,
            **fields,
        }
        program = Program(source=source, handler="lambda_handler", **settings)
        graders.append(EventGrader(ProcessPool(program, workers), batch_size=batch_size, retries=0))
        return graders[-1]

    yield make
    del os.environ["TUNEWARD_REWARD_KEY"]
    for grader in graders:
        grader.close()


@pytest.fixture(scope="module")
def patient(make_program_grader: MakeGrader) -> EventGrader:
    """For code that ends by itself, however busy the machine is."""
    return make_program_grader()


@pytest.fixture(scope="module")
def hasty(make_program_grader: MakeGrader) -> EventGrader:
    """For code that never ends."""
    return make_program_grader(timeout_s=2.0)
