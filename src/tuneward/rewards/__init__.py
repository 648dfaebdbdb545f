"""Graders: what turns completions into scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from tuneward.config import GraderConfig, RewardConfig
from tuneward.errors import GraderError
from tuneward.rewards.compose import build_composition
from tuneward.rewards.event import build_event, parse_answer, read_answer
from tuneward.rewards.held_out import PLACE, HeldOutGrader
from tuneward.rewards.lambda_file import LambdaFileGrader
from tuneward.rewards.place import relocate
from tuneward.rewards.policy import FailurePolicy, FailuresAsZero
from tuneward.types import Grader

if TYPE_CHECKING:
    from tuneward.rewards.functions import FunctionRegistry

__all__ = [
    "FailurePolicy",
    "LambdaFileGrader",
    "build_event",
    "build_grader",
    "build_held_out",
    "build_reward",
    "open_graders",
    "parse_answer",
    "read_answer",
]

BUILDERS = {
    "judge": "tuneward.rewards.judge.judge:JudgeGrader",
    "openai": "tuneward.rewards.openai.grader:OpenAIGrader",
    "file": "tuneward.rewards.lambda_file:LambdaFileGrader",
    "template": "tuneward.rewards.templates:build",
    "endpoint": "tuneward.rewards.endpoint:build_endpoint_grader",
    "function": "tuneward.rewards.functions.grader:build_function_grader",
}
"""Kind of grader in a configuration → who builds it; loaded when asked for, so that no kind costs the others."""


def build_reward(config: RewardConfig, functions: FunctionRegistry | None = None) -> Grader:
    """What a run trains on: the grader or the composition, with failures as the configuration wants them.

    Args and Raises: as `build_grader`.
    """
    grader = build_grader(config, functions)
    return FailuresAsZero(grader) if config.on_failure == "zero" else grader


@contextmanager
def open_graders(config: RewardConfig) -> Iterator[tuple[Grader, Grader | None]]:
    """What a run trains on and what it only measures, closed at the end. Raises GraderError as `build_grader`."""
    with ExitStack() as stack:
        grader = build_reward(config)
        stack.callback(grader.close)
        held_out = build_held_out(config)
        if held_out is not None:
            stack.callback(held_out.close)
        yield grader, held_out


def build_held_out(config: RewardConfig, functions: FunctionRegistry | None = None) -> Grader | None:
    """The grader that only measures; None when the configuration has none. It never raises while scoring.

    Args and Raises: as `build_grader`.
    """
    if config.held_out is None:
        return None
    try:
        return HeldOutGrader(build_grader(config.held_out, functions))
    except GraderError as error:
        raise GraderError(relocate(str(error), PLACE)) from error


def build_grader(config: GraderConfig, functions: FunctionRegistry | None = None) -> Grader:
    """The grader or composition a configuration asks for, checked and warm; the caller closes it.

    Args:
        functions: where registered functions are looked up; None: the registry of this process.

    Raises:
        GraderError: it cannot be built, for example because its file is missing or does not load.
    """
    if isinstance(config, RewardConfig) and config.compose is not None:
        return build_composition(config.compose, lambda part: build_grader(part, functions))
    module, _, name = BUILDERS[config.kind].partition(":")
    builder = getattr(import_module(module), name)
    grader: Grader = builder(config, functions) if config.kind == "function" else builder(config)
    return grader
