"""The configuration of a run: one pydantic model per concern, and the only place of defaults.

Every field states its meaning, unit, default and range. Files are YAML; `--set a.b=value` overrides any field.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tuneward.config.reward import RewardConfig
from tuneward.config.section import InputFile, Positive, Section

SCHEMA_VERSION = 1
"""Raised when a field changes its meaning; a file of another version is refused, never reinterpreted."""

LossName = Literal["dapo", "dr_grpo", "grpo", "gspo", "cispo"]
AdvantageScale = Literal["group", "batch", "none"]
SinkName = Literal["tensorboard", "mlflow", "wandb"]

VLLM_MISMATCH_MAX_RATIO = 3.0
"""`training.mismatch_max_ratio` where it is not given and vLLM samples; TRL's default."""


class DataConfig(Section):
    """Where prompts come from. Source of the row format: Bedrock RFT contract, section 3."""

    train: InputFile
    """JSONL file of training prompts (OpenAI chat format)."""
    validation: InputFile | None = None
    """JSONL file of validation prompts; when absent, `holdout_share` of the training rows is held out."""
    holdout_share: float = Field(0.1, gt=0, lt=1)
    """Share of training rows held out (at most 200) when there is no validation file."""
    max_prompt_length: Positive = 1024
    """Tokens; longer prompts are dropped and reported, never cut (contract 1.1)."""
    shuffle: bool = True
    """Visit the rows in a seeded random order, another one each epoch."""


class LoraConfig(Section):
    """The adapter. Source of the defaults: field practice for LoRA in reinforcement learning."""

    r: Positive = 16
    """Rank."""
    alpha: float = Field(32.0, gt=0)
    """Scale numerator: the update is alpha / r · B A."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """Module names, or `all-linear` for every linear layer but the head."""
    init_from: InputFile | None = None
    """Adapter folder to start from; it is then also the reference of the KL."""


class OptimizerConfig(Section):
    """AdamW on the adapter, and the learning rate over the steps."""

    learning_rate: float = Field(1e-4, gt=0, le=1)
    """AdamW step size for the adapter; 1e-5 … 1e-3 is the useful range, 1e-4 the common choice."""
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Shape after the warm-up; `linear` and `cosine` fall to 0 at the last step."""
    warmup_steps: int = Field(0, ge=0)
    """Steps of linear rise from 0 to the learning rate."""
    weight_decay: float = Field(0.0, ge=0)
    """Share by which AdamW shrinks the adapter's weights in each step, times the learning rate."""
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    """AdamW's memory of gradients; nearer to 1 is smoother and slower."""
    adam_beta2: float = Field(0.95, ge=0, lt=1)
    """AdamW's memory of squared gradients."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are scaled down to this global L2 norm."""
    max_skipped_updates: Positive = 3
    """Consecutive non-finite updates after which the run stops."""


class TrainingConfig(OptimizerConfig):
    """The algorithm. Two batch numbers only: prompts per step and samples per prompt."""

    loss: LossName = "dapo"
    """How token losses are formed and averaged; `dapo` is the global token mean over the whole step."""
    advantage: AdvantageScale = "group"
    """`group` divides by the group's sample standard deviation, `batch` by the batch's, `none` does not divide."""
    advantage_clip: float | None = Field(None, gt=0)
    """Clip advantages to ± this value; None does not clip."""
    epsilon_low: float = Field(0.2, ge=0)
    """Lower clip of the probability ratio: 1 − ε."""
    epsilon_high: float = Field(0.28, ge=0)
    """Upper clip of the probability ratio: 1 + ε (clip-higher of DAPO, arXiv 2503.14476)."""
    cispo_epsilon_max: float = Field(5.0, gt=0)
    """Ceiling of the ratio in `cispo`."""
    beta: float = Field(0.0, ge=0)
    """Weight of the KL penalty to the reference (k3); 0 runs no reference forward at all."""
    mask_truncated: bool = False
    """Leave truncated completions out of the loss; they stay in the baseline."""
    epochs: Annotated[int, Field(ge=1, le=50)] = 1
    """Passes over the training rows."""
    max_steps: Positive | None = None
    """Stop after this many steps whatever `epochs` says."""
    prompts_per_step: Positive = 8
    """Prompts sampled in each step."""
    samples_per_prompt: int = Field(8, ge=2, le=256)
    """Completions per prompt: the group size."""
    max_completion_tokens: Positive = 256
    """Completions are cut here; `finish_reason` is then `length`."""
    temperature: float = Field(1.0, gt=0, le=10)
    """Sampling temperature; policy log-probs use the same one. Top-p and top-k are off in training."""
    mismatch_max_ratio: float | None = Field(None, gt=1)
    """Completions that the policy finds more than this many times likelier than the sampler did are masked out of the
    loss; None masks none. Not given, it is 3 when `rollout.engine` is `vllm`."""
    token_budget: Positive | None = None
    """Tokens per micro-batch; None chooses by memory. It changes speed and memory, never the gradient."""
    memory_gb: float | None = Field(None, gt=0)
    """GiB that training may take, of this process on a CPU and of the GPU on one; None: what is available."""
    reuse_forward: bool = True
    """On a CPU: the update takes over what sampling computed, in up to a third of the memory it may take."""


class RolloutConfig(Section):
    """Who samples. `torch` is this process; `vllm` is a vLLM server, started from an environment of its own."""

    engine: Literal["torch", "vllm"] = "torch"
    """Log-probs with gradients are computed in this process either way."""
    command: str = "vllm serve"
    """Words that start the server, for example `/opt/vllm/bin/vllm serve`; model, port and options are added."""
    url: str | None = Field(None, pattern=r"^https?://")
    """A running server to use instead of starting one; the variable `VLLM_API_KEY` holds its key, if it has one."""
    port: int | None = Field(None, ge=1, le=65535)
    """Port of the server that is started, on this machine only; None takes a free one."""
    gpu_memory_share: float = Field(0.5, gt=0, lt=1)
    """Share of the GPU's memory for the server that is started; the model under training needs the rest."""
    concurrency: Positive = 256
    """Completions requested at the same time."""
    adapter_folder: Path | None = None
    """Where adapters are handed over, readable by the server under the same path; None: memory (`/dev/shm`)."""
    startup_timeout_s: float = Field(900.0, gt=0)
    """Wall-clock limit for the server to become healthy."""
    request_timeout_s: float = Field(1800.0, gt=0)
    """Wall-clock limit of silence for one request; a completion is sent when it is whole."""


class EvaluationConfig(Section):
    """Automatic evaluation, early stopping and the checks before training."""

    every_steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Steps between evaluations; None: min(10, rows / prompts_per_step), at least 1 (contract 1.6)."""
    max_rows: Positive = 200
    """Validation rows used at each evaluation, the first ones."""
    samples_per_prompt: Positive = 1
    """Completions per validation prompt."""
    temperature: float = Field(0.0, ge=0, le=10)
    """0 is greedy decoding."""
    exact_threshold: float = 1.0
    """A reward of at least this counts as exact success."""
    early_stopping: bool = True
    """Stop when the validation reward has not improved for `patience` evaluations."""
    patience: Positive = 3
    """Evaluations without improvement that are tolerated."""
    min_improvement: float = Field(0.005, ge=0)
    """Smallest gain in validation reward that counts as improvement."""
    stop_at_exact: float | None = Field(None, gt=0, le=1)
    """Stop as soon as this share of validation rows is an exact success; None never stops for it."""
    preflight_prompts: Positive = 32
    """Training prompts sampled before the first step to see whether there is any signal."""
    allow_no_signal: bool = False
    """Go on although no group of the pre-flight had differing rewards."""


class RunConfig(Section):
    """The run folder."""

    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    """Folder name under `root`; None derives one from the time and the model."""
    root: Path = Path("runs")
    """Where run folders are made."""
    seed: int = Field(0, ge=0, le=2147483647)
    """Every random choice derives from it."""
    checkpoint_every_steps: Positive = 10
    """Steps between checkpoints; one is also written at each evaluation, and at the end."""
    keep_checkpoints: Positive = 2
    """Newest checkpoints kept besides the best one."""
    keep_rollouts: bool = True
    """Keep every completion with its rewards, receipts and log-probs in `rollouts.db`, to be read in the console:
    about 10 bytes of disk a sampled token where completions are long, more where they are short; 2.5 GB for a million
    of 256 tokens. Supervised training keeps none."""
    stop_at: Positive | None = None
    """Finish this step, save and stop; `--resume` goes on from there."""
    sinks: tuple[SinkName, ...] = ()
    """Further places to write metrics to; each needs its extra installed."""


class Config(Section):
    """A whole training job."""

    schema_version: Literal[1] = 1
    model: str = "smollm2-135m"
    """Alias, local folder, `.gguf` file or Hugging Face id."""
    threads: Positive | None = None
    """CPU threads; None uses every physical core this process may run on."""
    data: DataConfig
    reward: RewardConfig
    lora: LoraConfig = LoraConfig()
    training: TrainingConfig = TrainingConfig()
    rollout: RolloutConfig = RolloutConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    run: RunConfig = RunConfig()

    @model_validator(mode="after")
    def _mask_what_another_engine_sampled(self) -> Config:
        if self.rollout.engine == "vllm" and "mismatch_max_ratio" not in self.training.model_fields_set:
            changed = self.training.model_copy(update={"mismatch_max_ratio": VLLM_MISMATCH_MAX_RATIO})
            object.__setattr__(self, "training", changed)  # frozen, but still being made
        return self
