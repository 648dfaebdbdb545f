"""A reward tried on a few answers before a job: the scores, and what the bench finds, within a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from tuneward.config import RewardConfig
from tuneward.errors import GraderError
from tuneward.rewards import build_held_out, build_reward
from tuneward.rewards.bench import BenchReport, bench_grader, bounds_of, nature_of, quick_bench, without_cache
from tuneward.rewards.functions import FunctionRegistry
from tuneward.types import Grader, Row, Sample, Score

Checks = Literal["none", "quick", "all"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it."""

    grader: str | None = None
    """Name and content hash; None: it could not be built."""
    problem: str | None = None
    """Why nothing, or not everything, could be tried."""
    scores: tuple[Score, ...] = ()
    """Of the samples, in order."""
    held_out: tuple[Score, ...] = ()
    """Of the held-out grader, where the reward has one."""
    report: BenchReport | None = None
    """None: not asked for, or the time was over."""
    seconds: float = 0.0


def try_reward(
    config: RewardConfig,
    samples: Sequence[Sample],
    rows: Sequence[Row],
    *,
    checks: Checks = "none",
    functions: FunctionRegistry,
    limit_s: float,
) -> Trial:
    """Score samples, then put the reward through checks.

    Failures are told as such, whatever `on_failure` says, and judges are asked anew each time. When the time is over,
    calls under way end as failed, and there is no report.

    Args:
        samples: ids all different; may be none.
        rows: what the checks ask about.
        checks: `quick`: those at the start of a job; `all`: as `tuneward rewards test`.
        functions: where registered functions are looked up.
        limit_s: wall-clock seconds, counted from when the grader is ready.
    """
    started = time.monotonic()
    config = without_cache(config)
    try:
        grader = build_reward(config, functions)
    except GraderError as error:
        return Trial(problem=str(error), seconds=time.monotonic() - started)
    with ExitStack() as stack:
        stack.callback(grader.close)
        try:
            held_out = build_held_out(config, functions)
        except GraderError as error:
            return Trial(grader.name, str(error), seconds=time.monotonic() - started)
        graders = [grader] if held_out is None else [grader, held_out]
        if held_out is not None:
            stack.callback(held_out.close)
        over = _close_after(limit_s, graders, stack)
        try:
            scores = tuple(grader.score(list(samples))) if samples else ()
            others = tuple(held_out.score(list(samples))) if held_out is not None and samples else ()
            report = _check(grader, rows, config, checks, functions) if rows and not over.is_set() else None
        except GraderError as error:
            problem = _late(limit_s) if over.is_set() else str(error)
            return Trial(grader.name, problem, seconds=time.monotonic() - started)
        is_late = over.is_set()
        return Trial(
            grader.name,
            _late(limit_s) if is_late else None,
            scores,
            others,
            None if is_late else report,
            time.monotonic() - started,
        )


def _check(
    grader: Grader, rows: Sequence[Row], config: RewardConfig, checks: Checks, functions: FunctionRegistry
) -> BenchReport | None:
    nature, bounds = nature_of(config), bounds_of(config)
    if checks == "none":
        return None
    if checks == "quick":
        return quick_bench(grader, rows, nature=nature, bounds=bounds)
    rebuild = lambda: build_reward(config, functions)  # noqa: E731
    return bench_grader(grader, rows, nature=nature, bounds=bounds, rebuild=rebuild)


def _close_after(limit_s: float, graders: Sequence[Grader], stack: ExitStack) -> threading.Event:
    """Close the graders when the time is over, which ends what they do; the event tells."""
    over = threading.Event()

    def close() -> None:
        over.set()
        for grader in graders:
            grader.close()

    timer = threading.Timer(limit_s, close)
    timer.daemon = True
    timer.start()
    stack.callback(timer.cancel)
    return over


def _late(limit_s: float) -> str:
    return f"The test was ended after {limit_s:g} s. Try fewer rows, or make the reward faster."
