"""The configuration of supervised fine-tuning: learning answers that are given, before a reward or without one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuneward.config.job import LoraConfig, OptimizerConfig, RunConfig
from tuneward.config.section import InputFile, Positive, Section


class SupervisedDataConfig(Section):
    """Where conversations come from. Source of the row format: OpenAI RFT contract, 3.4."""

    train: InputFile
    """JSONL file of conversations (OpenAI chat format); the assistant's messages are learned, but for those of
    `"weight": 0`."""
    validation: InputFile | None = None
    """JSONL file of validation conversations; when absent, `holdout_share` of the training rows is held out."""
    holdout_share: float = Field(0.1, gt=0, lt=1)
    """Share of training rows held out (at most 200) when there is no validation file."""
    max_row_tokens: Positive = 2048
    """Longer conversations are dropped and reported, never cut."""
    shuffle: bool = True
    """Visit the rows in a seeded random order, another one each epoch."""


class SupervisedTrainingConfig(OptimizerConfig):
    """The algorithm: the mean negative log-likelihood of the learned tokens of a step."""

    epochs: Annotated[int, Field(ge=1, le=50)] = 3
    """Passes over the training rows."""
    max_steps: Positive | None = None
    """Stop after this many steps whatever `epochs` says."""
    rows_per_step: Positive = 8
    """Conversations learned from in each step."""
    token_budget: Positive | None = None
    """Tokens per micro-batch; None chooses by memory. It changes speed and memory, never the gradient."""
    memory_gb: float | None = Field(None, gt=0)
    """GiB that training may take, of this process on a CPU and of the GPU on one; None: what is available."""


class SupervisedEvaluationConfig(Section):
    """Automatic evaluation and early stopping."""

    every_steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Steps between evaluations; None: once an epoch."""
    max_rows: Positive = 200
    """Validation rows used at each evaluation, the first ones."""
    early_stopping: bool = True
    """Stop when the validation loss has not fallen for `patience` evaluations."""
    patience: Positive = 2
    """Evaluations without improvement that are tolerated."""
    min_improvement: float = Field(0.001, ge=0)
    """Smallest fall of the validation loss that counts as improvement, nats per token."""


class SupervisedConfig(Section):
    """A supervised job."""

    schema_version: Literal[1] = 1
    method: Literal["supervised"] = "supervised"
    model: str = "smollm2-135m"
    """Alias, local folder, `.gguf` file or Hugging Face id."""
    threads: Positive | None = None
    """CPU threads; None uses every physical core this process may run on."""
    data: SupervisedDataConfig
    lora: LoraConfig = LoraConfig()
    training: SupervisedTrainingConfig = SupervisedTrainingConfig()
    evaluation: SupervisedEvaluationConfig = SupervisedEvaluationConfig()
    run: RunConfig = RunConfig()
