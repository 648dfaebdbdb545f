"""From a configuration to everything a run needs: prompts, model, policy, grader. Cheap checks come first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tuneward.config import Config
from tuneward.data import DataReport, read_rows, split_holdout, validate
from tuneward.engine.attention import ATTENTION
from tuneward.engine.engine import Engine
from tuneward.engine.forward import PackedModel
from tuneward.errors import ConfigError, DataError, RunError
from tuneward.models.chat import ChatTokenizer
from tuneward.models.importing import IMPORTING
from tuneward.models.load import add_adapter, load_adapter, load_base, set_threads
from tuneward.models.resolve import resolve
from tuneward.rl.policy import REFERENCE, Policy
from tuneward.rl.schedule import PromptSchedule
from tuneward.runs.folder import open_run
from tuneward.types import Prompt, Row


@dataclass(frozen=True, slots=True)
class Prompts:
    """Rendered prompts of a run."""

    train: list[Prompt]
    validation: list[Prompt]
    dropped: list[str]
    """Ids of rows whose prompt is longer than `data.max_prompt_length`."""


def load_prompts(config: Config, tokenizer: ChatTokenizer) -> Prompts:
    """Read, split and render the rows.

    Raises:
        DataError: a file has errors, or no prompt is short enough.
        ConfigError: prompt and completion limits exceed the model's context.
    """
    _check_context(config, tokenizer.folder)
    train_rows = read_rows(config.data.train)
    if config.data.validation is not None:
        validation_rows = read_rows(config.data.validation)
    else:
        train_rows, validation_rows = split_holdout(train_rows, config.data.holdout_share, config.run.seed)
    dropped: list[str] = []
    prompts = Prompts(
        _render(train_rows, tokenizer, config.data.max_prompt_length, dropped),
        _render(validation_rows, tokenizer, config.data.max_prompt_length, dropped),
        dropped,
    )
    for name, kept, file in (
        ("training", prompts.train, config.data.train),
        ("validation", prompts.validation, config.data.validation or config.data.train),
    ):
        if not kept:
            raise DataError(
                f"{file}: no {name} prompt is at most {config.data.max_prompt_length} tokens long; "
                "raise data.max_prompt_length or shorten the prompts."
            )
    return prompts


def check_data(config: Config, tokenizer: ChatTokenizer) -> DataReport:
    """The data report of a run's files."""
    return validate(
        config.data.train,
        config.data.validation,
        count_tokens=lambda row: len(tokenizer.render(row)),
        max_prompt_length=config.data.max_prompt_length,
    )


def _render(rows: Sequence[Row], tokenizer: ChatTokenizer, limit: int, dropped: list[str]) -> list[Prompt]:
    kept = []
    for row in rows:
        token_ids = tokenizer.render(row)
        if len(token_ids) <= limit:
            kept.append(Prompt(row, token_ids))
        else:
            dropped.append(row.id)
    return kept


def _check_context(config: Config, folder: Path) -> None:
    with IMPORTING:
        from transformers import AutoConfig

    context = getattr(AutoConfig.from_pretrained(folder), "max_position_embeddings", None)
    wanted = config.data.max_prompt_length + config.training.max_completion_tokens
    if context is not None and wanted > context:
        raise ConfigError(
            f"data.max_prompt_length + training.max_completion_tokens is {wanted} tokens, but the context of "
            f"{config.model} is {context}; lower one of the two."
        )


def build_policy(config: Config, folder: Path, total_steps: int, *, merge: bool | None = None) -> Policy:
    """Base model + adapter + optimizer; `merge` as in `PackedModel`. Raises ModelError, ConfigError."""
    # Nothing of ours draws from torch's own generator; seeding it covers models that would.
    torch.manual_seed(config.run.seed)
    model = add_adapter(load_base(folder, config.model, attention=ATTENTION), config.lora, seed=config.run.seed)
    if config.lora.init_from is not None:
        model.load_adapter(str(config.lora.init_from), adapter_name=REFERENCE, is_trainable=False)
        model.set_adapter("default")
    return Policy(model, config.training, total_steps=total_steps, merge=merge)


def make_schedule(config: Config, prompts: Prompts) -> PromptSchedule[Prompt]:
    return PromptSchedule(
        prompts.train, config.training.prompts_per_step, seed=config.run.seed, shuffle=config.data.shuffle
    )


def engine_for(name: str, *, root: Path = Path("runs"), threads: int | None = None) -> Engine:
    """Engine of a run's tuned model or of a model by name, for inference.

    Args:
        name: a run (folder, or name under `root`), else anything `resolve` takes.
        root: where runs are.
        threads: CPU threads; None uses all.

    Raises:
        RunError, ModelError: neither a run nor a model, or damaged.
    """
    from tuneward.models.pull import EMBEDDED

    set_threads(threads)
    run = None
    if name not in EMBEDDED:
        try:
            run = open_run(name, root)
        except RunError:
            if not Path(name).exists() and "/" not in name:
                raise
    if run is None:
        folder = resolve(name)
        return Engine(PackedModel(load_base(folder, name, attention=ATTENTION)), ChatTokenizer.load(folder))
    manifest: dict[str, Any] = run.read_json(run.manifest)
    folder = Path(manifest["model"]["path"])
    if not run.adapter.is_dir():
        raise RunError(f"{run.path}: no adapter yet (the run is {run.state}); finish it with tuneward train --resume.")
    model = load_adapter(load_base(folder, manifest["model"]["name"], attention=ATTENTION), run.adapter)
    return Engine(PackedModel(model), ChatTokenizer.load(folder))
