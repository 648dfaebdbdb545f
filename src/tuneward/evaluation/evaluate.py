"""Score a model on validation prompts."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuneward.config import Config
from tuneward.engine.engine import Engine
from tuneward.engine.sampler import SamplingParams
from tuneward.rl.measure import (
    add_usage,
    component_means,
    fault_shares,
    held_out_numbers,
    reward_numbers,
    rollout_numbers,
)
from tuneward.rl.rollout import SAMPLES_PER_CALL, SCORING_THREADS, OnSample, Rollout, roll_out
from tuneward.rl.scoring import ScoringQueue
from tuneward.types import Grader, Prompt, Score

EVALUATION_STREAM = 0
"""Step number in the seeds of evaluation samples; training counts from 1. All evaluations draw alike."""


@dataclass(frozen=True, slots=True)
class RowResult:
    """How the model did on one row."""

    id: str
    reward: float
    """Mean over the row's samples that were scored; NaN when none was."""
    text: str
    """The first completion."""
    completion_tokens: int
    finish_reason: str
    held_out: float | None = None
    """Mean score of the held-out grader; NaN when it scored none, None when there is no such grader."""

    def to_json(self) -> dict[str, Any]:
        held_out = {} if self.held_out is None else {"held_out": _known(self.held_out)}
        return {
            "id": self.id,
            "reward": _known(self.reward),
            **held_out,
            "text": self.text,
            "completion_tokens": self.completion_tokens,
            "finish_reason": self.finish_reason,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation: each row, and the record of the whole."""

    rows: tuple[RowResult, ...]
    scores: tuple[Score, ...]
    record: dict[str, Any]

    @property
    def reward(self) -> float:
        """Mean reward; NaN when nothing could be scored."""
        return float(self.record.get("reward_mean", math.nan))

    @property
    def exact(self) -> float:
        """Share of exact successes; NaN when nothing could be scored."""
        return float(self.record.get("exact", math.nan))


def evaluate(
    engine: Engine,
    grader: Grader,
    prompts: Sequence[Prompt],
    config: Config,
    *,
    step: int,
    held_out: Grader | None = None,
) -> Evaluation:
    """Sample and score validation prompts with the seeds that every evaluation of the run uses.

    Args:
        engine: the model to measure.
        grader: scores its completions.
        prompts: validation prompts.
        config: `evaluation` says how many rows and samples, `training` the token limit.
        step: training step the model is at; only for the record.
        held_out: scores every completion too, only to be measured.

    Raises:
        NonFiniteError, GraderError: as `roll_out`.
    """
    started = time.perf_counter()
    settings = config.evaluation
    rollout, measured = _roll_out(engine, grader, held_out, prompts[: settings.max_rows], config)
    rows = tuple(
        RowResult(
            group.id,
            _mean([score.reward for score in scores if score.is_scored]),
            group.completions[0].text,
            len(group.completions[0].token_ids),
            str(group.completions[0].finish_reason),
            _mean([score.reward for score in seconds if score.is_scored]) if held_out else None,
        )
        for group, scores, seconds in zip(rollout.groups, rollout.scores, measured, strict=True)
    )
    scores = rollout.all_scores
    numbers = rollout_numbers(rollout)
    record: dict[str, Any] = {"kind": "evaluation", "step": step}
    record |= reward_numbers([score.reward for score in scores if score.is_scored], settings.exact_threshold)
    record |= component_means(scores)
    record |= fault_shares(scores)
    record |= {
        name: numbers[name] for name in ("completion_length_mean", "truncated_share", "entropy") if name in numbers
    }
    record |= {"rows": len(rows), "grader_errors": sum(score.is_failed for score in scores)}
    all_measured = [score for seconds in measured for score in seconds]
    record |= held_out_numbers(all_measured)
    add_usage(record, [*scores, *all_measured])
    record["timing"] = {"seconds": time.perf_counter() - started}
    return Evaluation(rows, tuple(scores), record)


def _roll_out(
    engine: Engine, grader: Grader, held_out: Grader | None, prompts: Sequence[Prompt], config: Config
) -> tuple[Rollout, list[list[Score]]]:
    """The rollout, and per group the held-out grader's scores of the same completions; none without that grader."""
    settings = config.evaluation
    params = SamplingParams(config.training.max_completion_tokens, temperature=settings.temperature)

    def roll(on_sample: OnSample | None = None) -> Rollout:
        return roll_out(
            engine, grader, prompts, settings.samples_per_prompt, params,
            run_seed=config.run.seed, step=EVALUATION_STREAM, on_sample=on_sample,
        )  # fmt: skip

    if held_out is None:
        rollout = roll()
        return rollout, [[] for _ in rollout.groups]
    with closing(ScoringQueue(held_out, threads=SCORING_THREADS, most=SAMPLES_PER_CALL)) as queue:
        rollout = roll(lambda sample, _: queue.add(sample))
        found = queue.finish()
    return rollout, [[found[score.sample_id] for score in scores] for scores in rollout.scores]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
