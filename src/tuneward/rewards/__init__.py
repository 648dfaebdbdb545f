"""Graders: what turns completions into scores."""

from __future__ import annotations

from tuneward.config import RewardConfig
from tuneward.rewards.event import build_event, parse_answer, read_answer
from tuneward.rewards.lambda_file import LambdaFileGrader
from tuneward.rewards.policy import FailurePolicy
from tuneward.types import Grader

__all__ = ["FailurePolicy", "LambdaFileGrader", "build_event", "build_grader", "parse_answer", "read_answer"]


def build_grader(config: RewardConfig) -> Grader:
    """The grader a configuration asks for, checked and warm; the caller closes it.

    Raises:
        GraderError: the reward file is missing, does not load, or has no usable handler.
    """
    return LambdaFileGrader(config)
