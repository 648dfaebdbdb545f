"""`config` of a job request → the sections that its run reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuneward.config import (
    DataConfig,
    OptimizerConfig,
    RunConfig,
    SupervisedDataConfig,
    SupervisedTrainingConfig,
    TrainingConfig,
)
from tuneward.config.section import Section
from tuneward.jobs.problems import InvalidRequestError
from tuneward.serve.job_parts.functions import check_function
from tuneward.serve.openai.job_overrides import RUN, Kind, merged
from tuneward.serve.openai.job_reward import own_reward
from tuneward.serve.services import Services
from tuneward.types import Json

PLACE = "config"
OPEN_RUN = ("seed", *RUN)
"""Fields of `run` that a request may set; the others are the operator's."""

SHOWN: dict[Kind, tuple[tuple[str, type[Section], tuple[str, ...]], ...]] = {
    "reinforcement": (
        ("data", DataConfig, ("max_prompt_length",)),
        ("training", TrainingConfig, ("epochs", "prompts_per_step", "samples_per_prompt", "max_completion_tokens")),
        ("training", OptimizerConfig, ("learning_rate",)),
        ("run", RunConfig, ("seed",)),
    ),
    "supervised": (
        ("data", SupervisedDataConfig, ("max_row_tokens",)),
        ("training", SupervisedTrainingConfig, ("epochs", "rows_per_step", "learning_rate")),
        ("run", RunConfig, ("seed",)),
    ),
}
"""Defaults that a job has written out, so that it reads alike through every API."""


def sections_of(
    kind: Kind, config: Mapping[str, Mapping[str, Json]], services: Services, project_id: str, context: int | None
) -> dict[str, Any]:
    """Sections of `tuneward.config.Config`, or of `SupervisedConfig`.

    Args:
        kind: of the job.
        config: as it came; without a reward the sections have none.
        services: of the server.
        project_id: whose functions count.
        context: tokens that the model takes; lengths that are not given fit into it. None: unknown.

    Raises:
        InvalidRequestError: a field that is unknown or not open, a value out of range, or a reward that cannot be used.
    """
    given = {name: dict(section) for name, section in config.items()}
    reward = given.pop("reward", None)
    sections: dict[str, Any] = {}
    for name, section, fields in SHOWN[kind]:
        defaults = {field: section.model_fields[field].default for field in fields}
        sections.setdefault(name, {}).update(defaults)
    if context is not None:
        _fit(kind, sections, given, context)
    checked = merged(kind, _with_a_reward(kind, sections), given, place=PLACE, run=OPEN_RUN)
    checked.pop("reward", None)
    if reward is not None:
        if kind == "supervised":
            message = "A supervised job has no reward; leave config.reward out, or set method to reinforcement."
            raise InvalidRequestError(message, param=f"{PLACE}.reward", code="invalid_value")
        checked["reward"] = own_reward(
            reward, f"{PLACE}.reward", lambda name, param: check_function(name, param, services, project_id)
        )
    return checked


def _with_a_reward(kind: Kind, sections: dict[str, Any]) -> dict[str, Any]:
    """The rest of a configuration can only be checked beside some reward; the job's own is checked by itself."""
    return sections if kind == "supervised" else {**sections, "reward": {"template": "math_answer"}}


def _fit(kind: Kind, sections: dict[str, Any], given: Mapping[str, Mapping[str, Json]], context: int) -> None:
    data, training = sections["data"], sections["training"]
    if kind == "supervised":
        data["max_row_tokens"] = min(data["max_row_tokens"], context)
        return
    asked = given.get("training", {}).get("max_completion_tokens")
    prompt = given.get("data", {}).get("max_prompt_length")
    if isinstance(prompt, int) and 0 < prompt < context:
        training["max_completion_tokens"] = min(training["max_completion_tokens"], context - prompt)
    else:
        training["max_completion_tokens"] = min(training["max_completion_tokens"], max(1, context // 2))
    completion = asked if isinstance(asked, int) and 0 < asked < context else training["max_completion_tokens"]
    data["max_prompt_length"] = min(data["max_prompt_length"], max(1, context - completion))
