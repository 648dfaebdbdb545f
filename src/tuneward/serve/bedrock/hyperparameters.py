"""Hyperparameters of the Bedrock dialect, in the words of the configuration and back.

What is not given has the default of the configuration, but for two: the batch size has the smallest that the service's
model allows, and the length of completions follows the reasoning effort. Source: Bedrock RFT contract, 5.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tuneward.config import DataConfig, EvaluationConfig, SupervisedTrainingConfig, TrainingConfig
from tuneward.config.section import Section
from tuneward.serve.bedrock.jobs_request import ReinforcementHyperParameters
from tuneward.serve.bedrock.validation import validation_exception

DEFAULT_BATCH = 16

COMPLETION_TOKENS = {"low": 256, "medium": 512, "high": 1024}
"""By reasoning effort, which is medium when not given."""

COMPLETION_SHARE = 0.75
"""Of the context, for completions, when prompts and completions together do not fit."""

Place = tuple[str, str]
"""Section and field of the configuration."""

_REINFORCEMENT: dict[str, Place] = {
    "epochCount": ("training", "epochs"),
    "batchSize": ("training", "prompts_per_step"),
    "learningRate": ("training", "learning_rate"),
    "maxPromptLength": ("data", "max_prompt_length"),
    "trainingSamplePerPrompt": ("training", "samples_per_prompt"),
    "inferenceMaxTokens": ("training", "max_completion_tokens"),
    "evalInterval": ("evaluation", "every_steps"),
}
_SECTIONS: dict[str, type[Section]] = {"data": DataConfig, "training": TrainingConfig, "evaluation": EvaluationConfig}

_SUPERVISED: dict[str, tuple[str, Callable[[str], float], float, float]] = {
    "epochCount": ("epochs", int, 1, 50),
    "batchSize": ("rows_per_step", int, 1, 512),
    "learningRate": ("learning_rate", float, 1e-7, 1.0),
    "learningRateWarmupSteps": ("warmup_steps", int, 0, 10_000),
}
"""Name → field of `SupervisedTrainingConfig`, kind, smallest, largest."""


def reinforcement_config(given: ReinforcementHyperParameters, context: int | None) -> dict[str, Any]:
    """Sections of `tuneward.config.Config`, every hyperparameter written out.

    Args:
        given: as they came.
        context: tokens that the model takes; None: not known, so nothing is cut.
    """
    named = given.model_dump(by_alias=True, exclude_none=True)
    config: dict[str, Any] = {}
    ours = {"batchSize": DEFAULT_BATCH, "inferenceMaxTokens": COMPLETION_TOKENS[given.reasoning_effort or "medium"]}
    for name, (section, field) in _REINFORCEMENT.items():
        default = ours.get(name, _SECTIONS[section].model_fields[field].default)
        config.setdefault(section, {})[field] = named.get(name, default)
    _fit(config, context)
    return config


def _fit(config: dict[str, Any], context: int | None) -> None:
    data, training = config["data"], config["training"]
    if context is None or data["max_prompt_length"] + training["max_completion_tokens"] <= context:
        return
    completion = min(training["max_completion_tokens"], int(context * COMPLETION_SHARE))
    training["max_completion_tokens"] = max(1, completion)
    data["max_prompt_length"] = max(1, min(data["max_prompt_length"], context - training["max_completion_tokens"]))


def reinforcement_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration's hyperparameters in the dialect's names; what it leaves open is left out."""
    found = {name: config.get(section, {}).get(field) for name, (section, field) in _REINFORCEMENT.items()}
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def supervised_config(given: Mapping[str, str], context: int | None) -> dict[str, Any]:
    """Sections of `tuneward.config.SupervisedConfig`.

    Args:
        given: as they came.
        context: tokens that the model takes; None: not known.

    Raises:
        AwsError: ValidationException for a name or a value that is not known.
    """
    training: dict[str, Any] = {
        field: SupervisedTrainingConfig.model_fields[field].default for field, *_ in _SUPERVISED.values()
    }
    for name, text in given.items():
        if name not in _SUPERVISED:
            raise validation_exception(f"hyperParameters: '{name}' is not known; known: {', '.join(_SUPERVISED)}.")
        field, kind, smallest, largest = _SUPERVISED[name]
        try:
            value = kind(text) if len(text) < 40 else None
        except ValueError:
            value = None
        if value is None or not smallest <= value <= largest:
            raise validation_exception(
                f"hyperParameters: {name} is '{text[:40]}'; expected {kind.__name__} from {smallest:g} to {largest:g}."
            )
        training[field] = value
    return {"training": training} if context is None else {"training": training, "data": {"max_row_tokens": context}}


def supervised_parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """A configuration's hyperparameters in the dialect's names, as strings."""
    training = config.get("training", {})
    return {name: str(training[field]) for name, (field, *_) in _SUPERVISED.items() if field in training}
