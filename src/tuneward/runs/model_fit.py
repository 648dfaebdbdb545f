"""Whether a model can be tuned on this machine, before there is data: default settings, longest lengths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from tuneward.config import DataConfig, EvaluationConfig, LoraConfig, TrainingConfig
from tuneward.engine.memory_plan import Budgets, Device, JobSize
from tuneward.engine.merged import can_pack
from tuneward.engine.planner import LEAST_TOKENS, SAFE_SHARE, Job, choose_budgets, require_budgets
from tuneward.engine.shape import ModelShape, read_shape
from tuneward.errors import ConfigError, ModelError
from tuneward.models.load import default_device
from tuneward.models.memory import total_memory_bytes

LIBRARIES_BYTES = 460 << 20
"""Of a process that has loaded what training needs, and no model yet; measured."""


@dataclass(frozen=True, slots=True)
class ModelFit:
    """What tuning a model takes here."""

    needs_bytes: int
    """Predicted peak with the smallest sizes that trade time for memory."""
    planned_bytes: int
    """The same with those that would be chosen here, which are as fast as the memory allows."""
    phase: str
    """In which the smallest peaks."""
    parts: tuple[tuple[str, int], ...]
    """(part, bytes) of that phase, the largest first."""
    limit_bytes: int | None
    """Memory of this machine, or of its GPU, that is planned with; None when unknown."""
    problem: str | None
    """Why it does not fit, and what to change; None: it fits."""


def model_fit(folder: Path, name: str) -> ModelFit:
    """Plan a job of default settings, whose prompts and completions are all as long as the defaults allow.

    Args:
        folder: of the model.
        name: for messages.

    Raises:
        ModelError: not a causal language model.
    """
    job = default_job(_shape(folder, (folder / "config.json").stat().st_mtime_ns, name))
    limit = machine_bytes()
    planned = None if limit is None else int(SAFE_SHARE * limit)
    problem = None
    least = job.memory(Budgets(LEAST_TOKENS, 0, False, job.size.samples_per_prompt))
    budgets = choose_budgets(job, planned)
    if budgets is None:
        source = f"can be counted on ({SAFE_SHARE:.0%} of this machine's memory)"
        try:
            require_budgets(job, planned, model=name, source=source)
        except (ConfigError, ModelError) as error:
            problem = str(error)
    parts = sorted(least.phases[least.peak_phase].items(), key=lambda part: -part[1])
    chosen = least if budgets is None else job.memory(budgets)
    return ModelFit(least.peak_bytes, chosen.peak_bytes, least.peak_phase, tuple(parts), planned, problem)


def default_job(shape: ModelShape) -> Job:
    """A job as the configuration's defaults make it, on this machine."""
    training, evaluation = TrainingConfig(), EvaluationConfig()
    longest_prompt: int = DataConfig.model_fields["max_prompt_length"].default
    on_gpu = default_device().type == "cuda"
    return Job(
        shape,
        JobSize(
            prompts=training.prompts_per_step,
            samples_per_prompt=training.samples_per_prompt,
            longest_prompt=longest_prompt,
            longest_completion=training.max_completion_tokens,
            evaluation_prompts=evaluation.max_rows,
            evaluation_samples=evaluation.samples_per_prompt,
            longest_evaluation_prompt=longest_prompt,
        ),
        Device(on_gpu, 0 if on_gpu else LIBRARIES_BYTES),
        can_merge=not on_gpu and can_pack(),
    )


def machine_bytes() -> int | None:
    """Memory of the GPU, or else of this machine, all of it."""
    if default_device().type == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    return total_memory_bytes()


@lru_cache(32)
def _shape(folder: Path, _changed_ns: int, name: str) -> ModelShape:
    return read_shape(folder, name, LoraConfig())
