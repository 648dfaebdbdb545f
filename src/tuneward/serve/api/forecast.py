"""`POST /api/forecast`: what a job would take, while it is still being put together."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from tuneward.serve.api.job_request import JobDraft
from tuneward.serve.api.model import ApiModel
from tuneward.serve.deps import Developer, Use
from tuneward.serve.job_parts.outlook import outlook

routes = APIRouter(prefix="/api", tags=["console"])

Count = Annotated[int, Field(ge=1, le=10_000_000)]


class KnownRows(ApiModel):
    """What is known of rows that the server would have to fetch to know it, such as from `POST /api/data/inspect`."""

    model_config = ConfigDict(extra="forbid")

    training: Count
    """Rows to learn from; with `validation`, without those that are held out."""
    validation: Count | None = None
    """Rows to measure on, held out or not."""
    longest_prompt: Count | None = None
    """Tokens."""
    mean_prompt: Annotated[float, Field(gt=0, le=10_000_000)] | None = None


class ForecastRequest(JobDraft):
    """A job request, however incomplete; what is missing is assumed, and the answer says so."""

    rows: KnownRows | None = None


class ForecastWork(ApiModel):
    """How much there is to do."""

    train_rows: int
    validation_rows: int
    """At each evaluation."""
    steps: int
    evaluations: int
    completions: int
    """Sampled in training."""
    step_tokens: int
    """Sampled, or learned, in one step."""
    trained_tokens: int
    """In the whole job."""


class MemoryPart(ApiModel):
    """What takes memory."""

    name: str
    bytes: int


class MemoryChange(ApiModel):
    """A setting that makes the job fit by itself."""

    setting: str
    """`SECTION.FIELD` of `config`."""
    value: int
    """The largest that fits."""


class ForecastMemory(ApiModel):
    """The most memory that the job takes, with the longest prompts and completions."""

    device: Literal["GPU", "CPU"]
    peak_bytes: int
    peak_phase: str
    parts: list[MemoryPart]
    """Of the phase in which it takes the most, the largest first."""
    limit_bytes: int | None
    """That a job may take on this machine."""
    free_bytes: int | None
    """That it may take now, beside what runs already."""
    fits: Literal["yes", "later", "no"]
    """`later`: once what runs now has ended."""
    problem: str | None
    """Why not, and what to do."""
    changes: list[MemoryChange]


class ForecastTime(ApiModel):
    """Seconds, without early stopping."""

    step_s: float
    job_s: float
    low_s: float
    high_s: float
    basis: str
    """What it was told from."""
    is_measured: bool
    """By earlier jobs with this model, not by arithmetic."""


class DiskPart(ApiModel):
    """What takes space in the home of the server."""

    name: str
    bytes: int


class ForecastDisk(ApiModel):
    """Space that the job needs."""

    bytes: int
    parts: list[DiskPart]
    free_bytes: int
    fits: bool


class Forecast(ApiModel):
    """What a job would take. What could not be told is null, and `assumptions` or `problem` say why."""

    model: str | None
    work: ForecastWork | None
    memory: ForecastMemory | None
    time: ForecastTime | None
    disk: ForecastDisk | None
    assumptions: list[str]
    """Sentences."""
    problem: str | None
    """What keeps it from being told; null: nothing."""


@routes.post("/forecast")
def forecast(body: ForecastRequest, principal: Developer, services: Use) -> Forecast:
    """Steps, time, memory and disk of a job that need not be complete; no weights are loaded."""
    return Forecast.model_validate(outlook(body, body.rows, services, principal.project_id), from_attributes=True)
