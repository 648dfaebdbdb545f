"""The numbers that are fixed when a run starts, chosen before anything large is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tuneward.config import Config, RolloutConfig
from tuneward.engine.memory_plan import Budgets, Device, MemoryPlan
from tuneward.engine.merged import can_pack
from tuneward.engine.planner import GIB, SAFE_SHARE, Job, require_budgets
from tuneward.engine.shape import read_shape
from tuneward.errors import RunError
from tuneward.models.load import default_device, set_threads
from tuneward.models.memory import available_memory_bytes, resident_bytes, weights_bytes
from tuneward.runs.folder import RunFolder
from tuneward.runs.prepare import Prompts, make_schedule
from tuneward.runs.sizes import RowSizes, reinforcement_job


@dataclass(frozen=True, slots=True)
class Plan:
    """Numbers fixed when a run starts; a resumed run uses the same ones, whatever the machine then has."""

    total_steps: int
    evaluate_every: int
    token_budget: int
    """Distinct tokens per micro-batch."""
    record_tokens: int
    """Tokens whose layer outputs sampling keeps for the update; 0 computes them again."""
    merged: bool
    """Sampling runs on merged copies of the weights."""
    max_rows: int
    """Completions decoded together at most."""
    threads: int
    peak_memory_bytes: int
    """Predicted for the longest prompts and completions: of this process on a CPU, of its tensors on a GPU."""

    @property
    def budgets(self) -> Budgets:
        return Budgets(self.token_budget, self.record_tokens, self.merged, self.max_rows)


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """How much memory a job may take, and who says so."""

    count: int | None
    """Bytes; None when unknown."""
    source: str
    """For messages, after "only 3 GiB"."""


def describe_job(config: Config, prompts: Prompts, folder: Path) -> Job:
    """What the memory of a job depends on; call before the model is loaded.

    Raises:
        ModelError, ConfigError: as `read_shape`.
    """
    validation = prompts.validation[: config.evaluation.max_rows]
    on_gpu = default_device().type == "cuda"
    shape = read_shape(folder, config.model, config.lora)
    # Read after the libraries that the model's shape took are there.
    process = 0 if on_gpu else resident_bytes()
    rows = RowSizes(
        train=len(prompts.train),
        validation=len(validation),
        longest_prompt=max(len(prompt.token_ids) for prompt in prompts.train),
        longest_validation_prompt=max(len(prompt.token_ids) for prompt in validation),
    )
    device = Device(on_gpu, process, 0 if on_gpu else converted_bytes(folder))
    return reinforcement_job(config, shape, rows, device, can_merge=not on_gpu and can_pack())


def memory_limit(given: float | None, rollout: RolloutConfig | None = None) -> MemoryLimit:
    """What a job may take: `training.memory_gb`, or most of what is available now beside the rollout's server."""
    if given is not None:
        return MemoryLimit(int(given * GIB), "are allowed by training.memory_gb")
    source = f"can be counted on here ({SAFE_SHARE:.0%} of what is available)"
    if default_device().type == "cuda":
        free, total = torch.cuda.mem_get_info()
        if rollout is not None and rollout.engine == "vllm" and rollout.url is None:
            free -= int(rollout.gpu_memory_share * total)
        return MemoryLimit(int(SAFE_SHARE * free), source)
    available = available_memory_bytes()
    return MemoryLimit(None if available is None else int(SAFE_SHARE * (available + resident_bytes())), source)


def make_plan(config: Config, prompts: Prompts, job: Job) -> Plan:
    """Resolve what the configuration leaves to us.

    Raises:
        ConfigError, ModelError: the job does not fit into memory, whatever is chosen.
    """
    training = config.training
    limit = memory_limit(training.memory_gb, config.rollout)
    budgets = require_budgets(job, limit.count, model=config.model, source=limit.source)
    every = config.evaluation.every_steps or max(1, min(10, len(prompts.train) // training.prompts_per_step))
    return Plan(
        total_steps=make_schedule(config, prompts).total_steps(training.epochs, training.max_steps),
        evaluate_every=every,
        token_budget=budgets.token_budget,
        record_tokens=budgets.record_tokens,
        merged=budgets.merged,
        max_rows=budgets.max_rows,
        threads=set_threads(config.threads),
        peak_memory_bytes=job.memory(budgets).peak_bytes,
    )


def read_plan(manifest: dict[str, Any], run: RunFolder) -> Plan:
    """The plan a run was started with. Raises RunError when another version of the program made it."""
    try:
        return Plan(**manifest["plan"])
    except TypeError:
        version = manifest["versions"]["tuneward"]
        raise RunError(
            f"{run.path}: its plan was made by another version of tuneward ({version}); resume it with that one."
        ) from None


def converted_bytes(folder: Path) -> int:
    """Of weight files that are not in fp32: those that are, are used where they lie."""
    stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return stored if stored < 0.9 * weights_bytes(folder, 4) else 0


def memory_table(plan: MemoryPlan) -> list[tuple[str, dict[str, int]]]:
    """(part, bytes by phase), the largest part first."""
    parts = {part for phase in plan.phases.values() for part in phase}
    rows = [(part, {name: phase.get(part, 0) for name, phase in plan.phases.items()}) for part in parts]
    return sorted(rows, key=lambda row: (-max(row[1].values()), row[0]))
