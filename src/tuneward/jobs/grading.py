"""Answers graded as a job grades its own: by the same reward, under the same limits."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tuneward.config import ConnectionConfig, RewardConfig
from tuneward.jobs.judge_connection import connect_judges
from tuneward.jobs.problems import ConflictError
from tuneward.jobs.spec import JobSpec
from tuneward.rewards import build_grader
from tuneward.rewards.functions import FunctionRegistry
from tuneward.types import Grader, Row, Sample, Score


@contextmanager
def grader_of(spec: JobSpec, functions: FunctionRegistry, judges: ConnectionConfig) -> Iterator[Grader]:
    """The grader that a job trains on, closed at the end.

    Args:
        spec: of the job.
        functions: of the job's project.
        judges: where graders that are models find theirs, unless the job says.

    Raises:
        ConflictError: the job has no reward, as supervised ones.
        GraderError: the grader cannot be built any more, for example because its function was deleted.
    """
    reward = copy.deepcopy(spec.config.get("reward"))
    if spec.method == "supervised" or not reward:
        raise ConflictError("This job learns from examples, so it has no reward to grade with.", code="no_reward")
    connect_judges(reward, judges)
    grader = build_grader(RewardConfig.model_validate(reward), functions)
    try:
        yield grader
    finally:
        grader.close()


def grade(grader: Grader, row: Row, completions: Sequence[str]) -> list[Score]:
    """Scores of answers to one row, in their order. Raises GraderError when nothing can be scored at all."""
    return grader.score([Sample(f"tried/{index}", row, text) for index, text in enumerate(completions)])
