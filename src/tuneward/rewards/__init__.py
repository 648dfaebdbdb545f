"""Graders: what turns completions into scores."""

from __future__ import annotations

from importlib import import_module

from tuneward.config import GraderConfig, RewardConfig
from tuneward.rewards.event import build_event, parse_answer, read_answer
from tuneward.rewards.lambda_file import LambdaFileGrader
from tuneward.rewards.policy import FailurePolicy, FailuresAsZero
from tuneward.types import Grader

__all__ = [
    "FailurePolicy",
    "LambdaFileGrader",
    "build_event",
    "build_grader",
    "build_reward",
    "parse_answer",
    "read_answer",
]

BUILDERS = {
    "file": "tuneward.rewards.lambda_file:LambdaFileGrader",
}
"""Kind of grader in a configuration → who builds it; loaded when asked for, so that no kind costs the others."""


def build_reward(config: RewardConfig) -> Grader:
    """What a run trains on: the grader or the composition, with failures as the configuration wants them.

    Raises:
        GraderError: as `build_grader`.
    """
    grader = build_grader(config)
    return FailuresAsZero(grader) if config.on_failure == "zero" else grader


def build_grader(config: GraderConfig) -> Grader:
    """The grader a configuration asks for, checked and warm; the caller closes it.

    Raises:
        GraderError: it cannot be built, for example because its file is missing or does not load.
    """
    module, _, builder = BUILDERS[config.kind].partition(":")
    grader: Grader = getattr(import_module(module), builder)(config)
    return grader
