"""The body of a create request → what a worker needs to know. Source: OpenAI RFT contract, 3.1 to 3.4."""

from __future__ import annotations

import math
import secrets
from typing import Any

from tuneward.jobs.problems import InvalidRequestError
from tuneward.jobs.service import NewJob
from tuneward.jobs.spec import FileSource, JobSpec
from tuneward.serve.context import context_length
from tuneward.serve.job_parts.files import check_file, count_lines
from tuneward.serve.job_parts.model import starting_model
from tuneward.serve.openai.job_defaults import reinforcement_sections, supervised_sections
from tuneward.serve.openai.job_grader import reward_of
from tuneward.serve.openai.job_method import resolved_line
from tuneward.serve.openai.job_overrides import merged
from tuneward.serve.openai.job_request import (
    CreateJob,
    Reinforcement,
    ReinforcementHyperparameters,
    SupervisedHyperparameters,
)
from tuneward.serve.services import Services

HOLDOUT_SHARE = 0.1
"""Held out where there is no validation file; the default of `data.holdout_share`."""


def new_job(body: CreateJob, services: Services, project_id: str, *, token: str | None = None) -> NewJob:
    """A job to be stored.

    Raises:
        InvalidRequestError: a file, grader or number that cannot be used.
        ObjectNotFoundError: no such model.
    """
    method = body.method
    if method is not None and method.type == "dpo":
        message = "Fine-tuning by preferences (dpo) is not supported; method.type is reinforcement or supervised."
        raise InvalidRequestError(message, param="method.type", code="invalid_value")
    spec = _spec(body, services, project_id)
    return NewJob(
        dialect="openai",
        model=body.model,
        spec=spec,
        request=body.sent,
        user_metadata=body.metadata,
        token=token,
        notes=(("hyperparameters", resolved_line(spec)),),
    )


def _spec(body: CreateJob, services: Services, project_id: str) -> JobSpec:
    base_model, start_from = starting_model(body.model, services, project_id)
    check_file(body.training_file, "training_file", services, project_id)
    if body.validation_file is not None:
        check_file(body.validation_file, "validation_file", services, project_id)
    has_validation = body.validation_file is not None
    rows = count_lines(services.files.path(project_id, body.training_file))
    if not has_validation:
        rows -= math.ceil(HOLDOUT_SHARE * rows)
    context = context_length(services.directory.find(base_model).local)
    response_format = None
    config: dict[str, Any]
    if body.method is not None and body.method.type == "reinforcement":
        asked = _reinforcement(body)
        sections = reinforcement_sections(
            asked.hyperparameters or ReinforcementHyperparameters(),
            rows=rows,
            has_validation=has_validation,
            context=context,
            completion_tokens=_completion_tokens(body),
        )
        sections["reward"] = reward_of(asked.grader, services, project_id)
        config = merged("reinforcement", sections, body.tuneward)
        response_format = asked.response_format.chat_form() if asked.response_format else None
    else:
        hyperparameters = _supervised(body)
        sections = supervised_sections(hyperparameters, rows=rows, has_validation=has_validation, context=context)
        config = merged("supervised", sections, body.tuneward)
    config["run"] = {**config.get("run", {}), "seed": secrets.randbelow(2**31) if body.seed is None else body.seed}
    return JobSpec(
        method="reinforcement" if "reward" in config else "supervised",
        base_model=base_model,
        start_from=start_from,
        training=FileSource(file_id=body.training_file),
        validation=(FileSource(file_id=body.validation_file),) if body.validation_file is not None else (),
        config=config,
        response_format=response_format,
        suffix=body.suffix,
        integrations=tuple(integration.model_dump() for integration in body.integrations or ()),
    )


def _reinforcement(body: CreateJob) -> Reinforcement:
    assert body.method is not None
    if body.method.reinforcement is None:
        place = "method.reinforcement"
        code = "missing_required_parameter"
        raise InvalidRequestError(f"Missing required parameter: '{place}'.", param=place, code=code)
    if body.hyperparameters is not None:
        message = "The old top-level hyperparameters are for supervised jobs; use method.reinforcement.hyperparameters."
        raise InvalidRequestError(message, param="hyperparameters", code="invalid_value")
    return body.method.reinforcement


def _supervised(body: CreateJob) -> SupervisedHyperparameters:
    given = body.method.supervised.hyperparameters if body.method and body.method.supervised else None
    return given or body.hyperparameters or SupervisedHyperparameters()


def _completion_tokens(body: CreateJob) -> int | None:
    wanted = (body.tuneward or {}).get("training", {}).get("max_completion_tokens")
    return wanted if isinstance(wanted, int) and wanted > 0 else None
