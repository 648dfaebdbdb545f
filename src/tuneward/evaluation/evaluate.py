"""Score a model on validation prompts."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuneward.config import Config
from tuneward.engine.engine import Engine
from tuneward.engine.sampler import SamplingParams
from tuneward.rl.measure import component_means, reward_numbers, rollout_numbers
from tuneward.rl.rollout import roll_out
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

    def to_json(self) -> dict[str, Any]:
        reward = None if math.isnan(self.reward) else self.reward
        return {
            "id": self.id,
            "reward": reward,
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


def evaluate(engine: Engine, grader: Grader, prompts: Sequence[Prompt], config: Config, *, step: int) -> Evaluation:
    """Sample and score validation prompts with the seeds that every evaluation of the run uses.

    Args:
        engine: the model to measure.
        grader: scores its completions.
        prompts: validation prompts.
        config: `evaluation` says how many rows and samples, `training` the token limit.
        step: training step the model is at; only for the record.

    Raises:
        NonFiniteError, GraderError: as `roll_out`.
    """
    started = time.perf_counter()
    settings = config.evaluation
    params = SamplingParams(config.training.max_completion_tokens, temperature=settings.temperature)
    chosen = prompts[: settings.max_rows]
    rollout = roll_out(
        engine, grader, chosen, settings.samples_per_prompt, params, run_seed=config.run.seed, step=EVALUATION_STREAM
    )
    rows = tuple(
        RowResult(
            group.id,
            _mean([score.reward for score in scores if score.is_scored]),
            group.completions[0].text,
            len(group.completions[0].token_ids),
            str(group.completions[0].finish_reason),
        )
        for group, scores in zip(rollout.groups, rollout.scores, strict=True)
    )
    scores = rollout.all_scores
    numbers = rollout_numbers(rollout)
    record: dict[str, Any] = {"kind": "evaluation", "step": step}
    record |= reward_numbers([score.reward for score in scores if score.is_scored], settings.exact_threshold)
    record |= component_means(scores)
    record |= {
        name: numbers[name] for name in ("completion_length_mean", "truncated_share", "entropy") if name in numbers
    }
    record |= {"rows": len(rows), "grader_errors": sum(score.is_failed for score in scores)}
    record["timing"] = {"seconds": time.perf_counter() - started}
    return Evaluation(rows, tuple(scores), record)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
