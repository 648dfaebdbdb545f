"""What the memory of a job depends on, from its configuration, its model's shape and the sizes of its rows."""

from __future__ import annotations

from dataclasses import dataclass

from tuneward.config import Config, SupervisedConfig
from tuneward.engine.memory_plan import Device, JobSize
from tuneward.engine.planner import Job
from tuneward.engine.shape import ModelShape


@dataclass(frozen=True, slots=True)
class RowSizes:
    """Numbers of rows, and lengths in tokens."""

    train: int
    validation: int
    """Of one evaluation."""
    longest_prompt: int
    longest_validation_prompt: int
    longest_answer: int = 0
    """Of conversations, which have one."""


def reinforcement_job(config: Config, shape: ModelShape, rows: RowSizes, device: Device, *, can_merge: bool) -> Job:
    """A job that samples; `can_merge` as `Job.can_merge`."""
    training, evaluation = config.training, config.evaluation
    return Job(
        shape,
        JobSize(
            prompts=min(training.prompts_per_step, rows.train),
            samples_per_prompt=training.samples_per_prompt,
            longest_prompt=rows.longest_prompt,
            longest_completion=training.max_completion_tokens,
            evaluation_prompts=rows.validation,
            evaluation_samples=evaluation.samples_per_prompt,
            longest_evaluation_prompt=rows.longest_validation_prompt,
        ),
        device,
        samples_here=config.rollout.engine == "torch",
        beta=training.beta,
        reuse_forward=training.reuse_forward,
        token_budget=training.token_budget,
        can_merge=can_merge,
    )


def supervised_job(config: SupervisedConfig, shape: ModelShape, rows: RowSizes, device: Device) -> Job:
    """As a reinforcement job that samples nothing."""
    return Job(
        shape,
        JobSize(
            prompts=min(config.training.rows_per_step, rows.train),
            samples_per_prompt=1,
            longest_prompt=rows.longest_prompt,
            longest_completion=rows.longest_answer,
            evaluation_prompts=rows.validation,
            evaluation_samples=1,
            longest_evaluation_prompt=rows.longest_validation_prompt,
        ),
        device,
        samples_here=False,
        reuse_forward=False,
        token_budget=config.training.token_budget,
        can_merge=False,
    )
