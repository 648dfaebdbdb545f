"""What a job will take, told before its data is complete: steps, tokens, memory and disk, in some milliseconds.

`runs.foresee` tells the same of a whole configuration, from all of its rows and, if asked, from a probe.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tuneward.config import Config, LoraConfig, SupervisedConfig
from tuneward.data.split import MAX_HOLDOUT
from tuneward.engine.memory_plan import Budgets, Device, MemoryPlan
from tuneward.engine.merged import can_pack
from tuneward.engine.planner import GIB, SAFE_SHARE, Job, choose_budgets, remedies_of, smallest_budgets
from tuneward.engine.shape import ModelShape, read_shape
from tuneward.models.load import default_device
from tuneward.models.memory import available_memory_bytes
from tuneward.runs.model_fit import LIBRARIES_BYTES, machine_bytes
from tuneward.runs.plan import memory_limit
from tuneward.runs.row_facts import RowFacts
from tuneward.runs.sizes import RowSizes, reinforcement_job, supervised_job

FP32 = 4
STATES = 3
"""An adapter and Adam's two moments of it: what is needed to resume."""
BYTES_PER_TOKEN = 6
"""Of completions that are kept to be read; see `run.keep_rollouts`."""
USUAL_LENGTH = 0.5
"""Mean length of completions over their limit, where nothing is known of the model's answers."""


@dataclass(frozen=True, slots=True)
class Work:
    """How much there is to do."""

    train_rows: int
    validation_rows: int
    """Used at each evaluation."""
    steps: int
    evaluations: int
    """The one before training included; with early stopping there may be fewer."""
    rows_per_step: int
    samples_per_prompt: int
    prompt_tokens: float
    """Mean length of a prompt."""
    completion_tokens: float
    """Mean length of a completion, or of a conversation's answer, that is reckoned with."""
    longest_completion: int

    @property
    def step_tokens(self) -> float:
        """Tokens sampled, or learned, in a step."""
        return self.rows_per_step * self.samples_per_prompt * self.completion_tokens

    @property
    def trained_tokens(self) -> float:
        return self.steps * self.step_tokens


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that makes a job fit, and its largest value that does."""

    setting: str
    value: int


@dataclass(frozen=True, slots=True)
class MemoryForecast:
    """What a job takes at most, and whether there is as much."""

    plan: MemoryPlan
    budgets: Budgets
    limit_bytes: int | None
    """That a job may take on this machine when nothing else runs; None: unknown."""
    free_bytes: int | None
    """That it may take now."""
    is_on_gpu: bool
    changes: tuple[Change, ...]
    """Each makes it fit by itself; empty when it fits, and when nothing helps but a smaller model."""

    @property
    def fits(self) -> bool:
        return self.limit_bytes is None or self.plan.peak_bytes <= self.limit_bytes

    @property
    def fits_now(self) -> bool:
        return self.fits and (self.free_bytes is None or self.plan.peak_bytes <= self.free_bytes)


def work_of(
    config: Config | SupervisedConfig, train: RowFacts, validation: RowFacts | None, *, length: float | None = None
) -> Work:
    """Steps, evaluations and tokens of a job.

    Args:
        config: of the job.
        train: the rows as they come, those to be held out included.
        validation: None: some are held out.
        length: mean length of completions over their limit, as earlier jobs had it.
    """
    if validation is None:
        held = max(1, min(MAX_HOLDOUT, round(train.count * config.data.holdout_share), train.count - 1))
        rows, measured = max(1, train.count - held), held
    else:
        rows, measured = train.count, validation.count
    measured = max(1, min(measured, config.evaluation.max_rows))
    training = config.training
    if isinstance(config, SupervisedConfig):
        per_step, samples = min(config.training.rows_per_step, rows), 1
        completion, longest = train.mean_answer, max(1, train.longest_answer)
        prompt = train.mean_prompt
    else:
        per_step, samples = min(config.training.prompts_per_step, rows), config.training.samples_per_prompt
        longest = config.training.max_completion_tokens
        completion = max(1.0, longest * (USUAL_LENGTH if length is None else length))
        prompt = min(train.mean_prompt, config.data.max_prompt_length)
    per_epoch = max(1, rows // per_step)
    steps = per_epoch * training.epochs
    if training.max_steps is not None:
        steps = min(steps, training.max_steps)
    usual = per_epoch if isinstance(config, SupervisedConfig) else max(1, min(10, per_epoch))
    every = config.evaluation.every_steps or usual
    return Work(
        train_rows=rows,
        validation_rows=measured,
        steps=steps,
        evaluations=1 + -(-steps // every),
        rows_per_step=per_step,
        samples_per_prompt=samples,
        prompt_tokens=prompt,
        completion_tokens=completion,
        longest_completion=longest,
    )


def memory_of(
    config: Config | SupervisedConfig, folder: Path, work: Work, train: RowFacts, validation: RowFacts | None
) -> MemoryForecast:
    """The memory of a job, with the sizes that this machine would choose for it.

    Raises:
        ModelError, ConfigError: as `read_shape`.
    """
    on_gpu = default_device().type == "cuda"
    job = _job(config, shape_of(folder, config.model, config.lora), work, train, validation, on_gpu=on_gpu)
    total, given = machine_bytes(), config.training.memory_gb
    limit = int(given * GIB) if given is not None else None if total is None else int(SAFE_SHARE * total)
    free = _free_bytes(given, on_gpu=on_gpu)
    budgets = choose_budgets(job, free) or choose_budgets(job, limit)
    changes: tuple[Change, ...] = ()
    if budgets is None:
        budgets = smallest_budgets(job)
        assert limit is not None
        changes = tuple(Change(setting, value) for setting, value in remedies_of(job, limit))
    return MemoryForecast(job.memory(budgets), budgets, limit, free, on_gpu, changes)


def _free_bytes(given: float | None, *, on_gpu: bool) -> int | None:
    """What a further process may take now."""
    if given is not None or on_gpu:
        return memory_limit(given).count
    available = available_memory_bytes()
    return None if available is None else int(SAFE_SHARE * available)


def disk_of(config: Config | SupervisedConfig, shape: ModelShape, work: Work) -> dict[str, int]:
    """Bytes that a job leaves on disk, by part."""
    adapter = shape.adapter * FP32
    kept = config.run.keep_checkpoints + 1  # and the best one
    parts = {
        "resumable checkpoints": kept * STATES * adapter,
        "adapters of evaluated checkpoints": max(1, work.evaluations - 1) * adapter,
    }
    if isinstance(config, Config) and config.run.keep_rollouts:
        sampled = work.trained_tokens + work.evaluations * work.validation_rows * work.completion_tokens
        parts["completions"] = int(BYTES_PER_TOKEN * sampled)
    return parts


def shape_of(folder: Path, name: str, lora: LoraConfig) -> ModelShape:
    """As `read_shape`, at once when only the rank differs from what was asked before."""
    shape = _shape_at_rank_one(
        folder, (folder / "config.json").stat().st_mtime_ns, name, lora.target_modules, lora.init_from
    )
    if lora.init_from is not None:  # it has a rank of its own
        return shape
    return dataclasses.replace(shape, adapter=lora.r * shape.adapter, adapter_inner=lora.r * shape.adapter_inner)


@lru_cache(64)
def _shape_at_rank_one(
    folder: Path, _changed_ns: int, name: str, targets: str | tuple[str, ...], start: Path | None
) -> ModelShape:
    return read_shape(folder, name, LoraConfig(r=1, target_modules=targets, init_from=start))


def _job(
    config: Config | SupervisedConfig,
    shape: ModelShape,
    work: Work,
    train: RowFacts,
    validation: RowFacts | None,
    *,
    on_gpu: bool,
) -> Job:
    held = validation or train
    device = Device(on_gpu, 0 if on_gpu else LIBRARIES_BYTES)
    if isinstance(config, SupervisedConfig):
        limit = config.data.max_row_tokens
        sizes = RowSizes(
            work.train_rows,
            work.validation_rows,
            longest_prompt=min(max(train.longest_prompt, held.longest_prompt), limit),
            longest_validation_prompt=min(held.longest_prompt, limit),
            longest_answer=min(max(train.longest_answer, held.longest_answer, 1), limit),
        )
        return supervised_job(config, shape, sizes, device)
    limit = config.data.max_prompt_length
    sizes = RowSizes(
        work.train_rows,
        work.validation_rows,
        longest_prompt=min(train.longest_prompt, limit),
        longest_validation_prompt=min(held.longest_prompt, limit),
    )
    return reinforcement_job(config, shape, sizes, device, can_merge=not on_gpu and can_pack())
