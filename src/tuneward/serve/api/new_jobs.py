"""`POST /api/jobs`: start a job, in the words of a configuration; and what such a request may set."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header

from tuneward.config.describe import SettingType, settings_of
from tuneward.serve.api.job_request import Method, NewJobRequest, new_job
from tuneward.serve.api.model import ApiModel
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.serve.job_parts.config import OPEN_RUN
from tuneward.serve.job_parts.repeats import create_once
from tuneward.serve.openai.job_overrides import CONFIGS, REWARD, open_fields
from tuneward.store.tables import JobState
from tuneward.types import Json

routes = APIRouter(prefix="/api", tags=["console"])


class CreatedJob(ApiModel):
    """A job that was made."""

    id: str
    """`ftjob-…`, as the fine-tuning API calls it too."""
    name: str
    state: JobState
    created_at: float
    """Seconds since 1970."""


class Setting(ApiModel):
    """Something about a run that a job request may set, under `config`."""

    name: str
    """`SECTION.FIELD`, such as `training.learning_rate`."""
    type: SettingType
    default: Json
    """What a run does when it is not given; null of an optional one: it is decided when the run starts."""
    is_optional: bool
    """May be null."""
    minimum: float | None
    maximum: float | None
    excludes_minimum: bool
    """The value must be more than `minimum`, not equal to it."""
    excludes_maximum: bool
    choices: list[str]
    """Of type `choice`."""
    guidance: str
    """What it does, its unit, and what it is wise to set."""


class SettingsSchema(ApiModel):
    """All settings of a method, in the order of the configuration's documentation."""

    method: Method
    data: list[Setting]


@routes.post("/jobs", status_code=201)
def create(
    body: NewJobRequest,
    principal: Developer,
    services: Use,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> CreatedJob:
    """Start a job. With an `Idempotency-Key` the same request makes it once, however often it is sent."""
    job = create_once(
        body.sent,
        lambda token: new_job(body, services, principal.project_id, token=token),
        services,
        principal,
        kind="tuneward",
        key=idempotency_key,
    )
    return CreatedJob(id=f"ftjob-{job.id}", name=job.name, state=job.state, created_at=job.created_at)


@routes.get("/settings-schema")
def settings_schema(
    _principal: Viewer, method: Literal["reinforcement", "supervised"] = "reinforcement"
) -> SettingsSchema:
    """What a job request may set: names, defaults, ranges and guidance."""
    fields = open_fields(method) | {"run": OPEN_RUN}
    if method == "reinforcement":
        fields["reward"] = REWARD
    found = settings_of(CONFIGS[method], fields)
    return SettingsSchema(method=method, data=[Setting.model_validate(one, from_attributes=True) for one in found])
