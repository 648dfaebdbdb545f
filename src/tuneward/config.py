"""The configuration of a run: one pydantic model per concern, and the only place of defaults.

Every field states its meaning, unit, default and range. Files are YAML; `--set a.b=value` overrides any field.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tuneward.errors import ConfigError, did_you_mean

SCHEMA_VERSION = 1
"""Raised when a field changes its meaning; a file of another version is refused, never reinterpreted."""

LossName = Literal["dapo", "dr_grpo", "grpo", "gspo", "cispo"]
AdvantageScale = Literal["group", "batch", "none"]
SinkName = Literal["tensorboard", "mlflow", "wandb"]

Positive = Annotated[int, Field(ge=1)]

VLLM_MISMATCH_MAX_RATIO = 3.0
"""`training.mismatch_max_ratio` where it is not given and vLLM samples; TRL's default."""


class _Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False, validate_default=True
    )


class DataConfig(_Section):
    """Where prompts come from. Source of the row format: Bedrock RFT contract, section 3."""

    train: Path
    """JSONL file of training prompts (OpenAI chat format)."""
    validation: Path | None = None
    """JSONL file of validation prompts; when absent, `holdout_share` of the training rows is held out."""
    holdout_share: float = Field(0.1, gt=0, lt=1)
    """Share of training rows held out (at most 200) when there is no validation file."""
    max_prompt_length: Positive = 1024
    """Tokens; longer prompts are dropped and reported, never cut (contract 1.1)."""
    shuffle: bool = True
    """Visit the rows in a seeded random order, another one each epoch."""


class RewardConfig(_Section):
    """The reward function and what happens when it fails."""

    file: Path
    """Python file with `lambda_handler(event, context)` in the batch form of the Bedrock contract, section 4."""
    handler: str = "lambda_handler"
    """Name of the function in the file."""
    timeout_s: float = Field(30.0, gt=0, le=900)
    """Wall-clock limit of one call, counted from when a worker starts on it."""
    memory_mb: int = Field(512, ge=64)
    """Memory limit of the reward process, MiB."""
    batch_size: Positive = 64
    """Samples sent in one call."""
    workers: Positive = 1
    """Reward processes that run at the same time."""
    retries: int = Field(2, ge=0, le=10)
    """Further calls for samples whose call failed, before `on_failure` decides."""
    on_failure: Literal["exclude", "fail"] = "exclude"
    """`exclude` leaves the sample out of its group; `fail` stops the run. A failure is never a score of 0."""
    error_budget: float = Field(0.1, ge=0, le=1)
    """Share of failed samples, over at least 50, above which the run stops with the reason."""


class LoraConfig(_Section):
    """The adapter. Source of the defaults: field practice for LoRA in reinforcement learning."""

    r: Positive = 16
    """Rank."""
    alpha: float = Field(32.0, gt=0)
    """Scale numerator: the update is alpha / r · B A."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """Module names, or `all-linear` for every linear layer but the head."""
    init_from: Path | None = None
    """Adapter folder to start from; it is then also the reference of the KL."""


class TrainingConfig(_Section):
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
    learning_rate: float = Field(1e-4, gt=0, le=1)
    """AdamW step size for the adapter; 1e-5 … 1e-3 is the useful range, 1e-4 the common choice."""
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Shape after the warm-up; `linear` and `cosine` fall to 0 at the last step."""
    warmup_steps: int = Field(0, ge=0)
    """Steps of linear rise from 0 to the learning rate."""
    weight_decay: float = Field(0.0, ge=0)
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    adam_beta2: float = Field(0.95, ge=0, lt=1)
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are scaled down to this global L2 norm."""
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
    max_skipped_updates: Positive = 3
    """Consecutive non-finite updates after which the run stops."""


class RolloutConfig(_Section):
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


class EvaluationConfig(_Section):
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


class RunConfig(_Section):
    """The run folder."""

    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    """Folder name under `root`; None derives one from the time and the model."""
    root: Path = Path("runs")
    """Where run folders are made."""
    seed: int = Field(0, ge=0, le=2147483647)
    """Every random choice derives from it."""
    checkpoint_every_steps: Positive = 10
    """Steps between checkpoints; one is also written at each evaluation that sets a new best, and at the end."""
    keep_checkpoints: Positive = 2
    """Newest checkpoints kept besides the best one."""
    stop_at: Positive | None = None
    """Finish this step, save and stop; `--resume` goes on from there."""
    sinks: tuple[SinkName, ...] = ()
    """Further places to write metrics to; each needs its extra installed."""


class Config(_Section):
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


def load_config(path: Path | None, overrides: tuple[str, ...] = (), base: dict[str, Any] | None = None) -> Config:
    """Read a YAML file, lay `base` and then `key.path=value` overrides over it, and validate.

    Relative paths in the file count from the file's folder, those in overrides from the working folder.

    Raises:
        ConfigError: missing or unreadable file, broken YAML, unknown key, or a value out of range; the
            message names the key in dotted form and the nearest valid one.
    """
    tree: dict[str, Any] = {}
    where = "configuration"
    if path is not None:
        where = str(path)
        # A section whose lines are all commented out reads as null and means its defaults.
        tree = {key: {} if value is None else value for key, value in _read_yaml(path).items()}
        _anchor_paths(tree, path.parent)
    for key, value in copy.deepcopy(base or {}).items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            tree[key] |= value
        else:
            tree[key] = value
    for override in overrides:
        _apply_override(tree, override)
    return parse_config(tree, where)


def parse_config(tree: dict[str, Any], where: str = "configuration") -> Config:
    """Validate a tree of plain values; `where` names its source in errors. Raises ConfigError."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(problem, where) for problem in error.errors())) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected keys and values at the top, found {type(tree).__name__}.")
    return tree


PATH_FIELDS = (("data", "train"), ("data", "validation"), ("reward", "file"), ("lora", "init_from"))
"""Input files, which a configuration file names relative to itself."""


def _anchor_paths(tree: dict[str, Any], folder: Path) -> None:
    for section, key in PATH_FIELDS:
        values = tree.get(section)
        if isinstance(values, dict) and isinstance(values.get(key), str):
            values[key] = str(folder / Path(values[key]).expanduser())


def _apply_override(tree: dict[str, Any], override: str) -> None:
    dotted, separator, text = override.partition("=")
    if not separator or not dotted.strip():
        raise ConfigError(f'--set {override}: expected key.path=value, e.g. "training.learning_rate=3e-4".')
    try:
        value = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        value = text
    if isinstance(value, str) and value == text.strip():  # quotes make it text: name='"7"'
        value = _number(value)
    *parents, leaf = dotted.strip().split(".")
    if (*parents, leaf) in PATH_FIELDS and isinstance(value, str):
        value = str(Path(value).expanduser())
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f'--set {override}: "{parent}" is a value, not a section.')
        node = child
    node[leaf] = value


def _number(text: str) -> str | float:
    """YAML 1.1 reads `3e-4` as a string; people mean the number."""
    try:
        return float(text)
    except ValueError:
        return text


def _explain(problem: Any, where: str) -> str:
    dotted = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *section, key = map(str, problem["loc"])
        known = _known_keys(problem["loc"][:-1])
        prefix = "".join(f"{part}." for part in section)
        hint = did_you_mean(key, known, prefix=prefix) or f". Known keys: {', '.join(sorted(known))}."
        return f'{where}: unknown key "{dotted}"{hint}'
    if problem["type"] == "missing":
        return f'{where}: "{dotted}" is missing; add it, or give it with --set {dotted}=….'
    message = problem["msg"].removeprefix("Value error, ")
    shown = problem.get("input")
    got = f" (got {shown!r})" if isinstance(shown, str | int | float | bool | None) else ""
    return f'{where}: "{dotted}": {message}{got}.' if dotted else f"{where}: {message}."


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Config
    for part in location:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
