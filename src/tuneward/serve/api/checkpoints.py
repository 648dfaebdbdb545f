"""`/api/jobs/{job_id}/checkpoints`: the states of an adapter that can be served, downloaded and deployed."""

from __future__ import annotations

from pathlib import Path as Folder
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.jobs.adapter_archive import adapter_archive, archive_name
from tuneward.jobs.checkpoints import (
    adapter_bytes,
    adapter_digest,
    best_step,
    deploy_checkpoint,
    find_checkpoint,
    measure_of,
    model_of_job,
    models_by_adapter,
    number,
    validation_of,
)
from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.jobs.service import find_job, take
from tuneward.serve.api.model import ApiModel
from tuneward.serve.bedrock.constraints import DeploymentName
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.serve.services import Services
from tuneward.store.tables import Checkpoint, Deployment, Job

routes = APIRouter(prefix="/api/jobs/{job_id}/checkpoints")

DEPLOYMENTS_SHOWN = 10

Step = Annotated[int, Path(ge=0, le=2**31 - 1, description="Of the checkpoint.")]


class CheckpointCard(ApiModel):
    """A checkpoint. Numbers that were not measured are null."""

    id: str
    step: int
    model_name: str
    """`ft:…:ckpt-step-N`: what chat completions and `/api/compare` take as `model`."""
    created_at: float
    train: float | None
    """Mean training reward of the step (of supervised jobs: loss)."""
    validation: float | None
    """Mean validation reward (or loss) after the step."""
    difference: float | None
    """Of `validation` to that of the base model."""
    exact: float | None
    """Share of validation rows that are an exact success."""
    is_best: bool
    """The best on the validation rows."""
    is_result: bool
    """The job ended with it."""
    bytes: int | None
    """Of the adapter; null when it is gone from the disk."""
    sha256: str | None
    """Of the adapter's weights."""
    deployments: list[str]
    """Names of deployments that serve it, at most ten."""


class CheckpointPage(ApiModel):
    """Part of the list, newest first."""

    data: list[CheckpointCard]
    next: int | None
    """`after` of the next page; null on the last one."""
    metric: Literal["reward", "loss"]
    """What the numbers are; of a loss, less is better."""
    base: float | None
    """The base model's."""


class DeployRequest(ApiModel):
    """The deployment to be made."""

    model_config = ConfigDict(extra="forbid")

    name: DeploymentName
    """Unique in the project."""
    description: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^[^\x00]*$")] | None = None


class Deployed(ApiModel):
    """A deployment of a checkpoint."""

    id: str
    name: str
    status: Literal["Creating", "Active", "Failed"]
    failure: str | None
    model: str
    """Name of the tuned model that the checkpoint is from now on."""


@routes.get("")
def list_checkpoints(
    job_id: str,
    caller: Viewer,
    services: Use,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1, description="`next` of the page before.")] = None,
) -> CheckpointPage:
    """A job's checkpoints. Besides the newest the three best are kept, and whatever is deployed or shared."""

    def read(session: Session) -> CheckpointPage:
        job = find_job(session, caller.project_id, job_id)
        query = select(Checkpoint).where(Checkpoint.job_id == job.id)
        if after is not None:
            query = query.where(Checkpoint.step < after)
        page = take(session, query.order_by(Checkpoint.step.desc()), limit)
        return CheckpointPage(
            data=_cards(session, services, job, list(page.items)),
            next=page.items[-1].step if page.has_more else None,
            metric="loss" if job.spec["method"] == "supervised" else "reward",
            base=_base(job),
        )

    return services.database.read(read)


@routes.get("/{step}/adapter", response_class=StreamingResponse)
def download(job_id: str, step: Step, caller: Viewer, services: Use) -> StreamingResponse:
    """The adapter as a ZIP archive with one folder, which peft loads: `PeftModel.from_pretrained(base, folder)`."""

    def read(session: Session) -> tuple[Job, Checkpoint]:
        job = find_job(session, caller.project_id, job_id)
        return job, find_checkpoint(session, job, step)

    job, checkpoint = services.database.read(read)
    name = archive_name(job.name, step)
    pieces = adapter_archive(services.home / checkpoint.adapter, name, _public_name(services, job))
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}.zip",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)


@routes.post("/{step}/deploy", status_code=201)
def deploy(job_id: str, step: Step, body: DeployRequest, caller: Developer, services: Use) -> Deployed:
    """Serve a checkpoint under a name. It becomes a tuned model, so that it is kept however many better ones come.

    Asked for again, the same deployment is answered; a name that serves another model is refused.
    """
    deployment, model = deploy_checkpoint(
        services.database,
        services.deployments,
        caller.project_id,
        job_id,
        step,
        body.name,
        description=body.description,
    )
    return Deployed.model_validate(
        {
            "id": deployment.id,
            "name": deployment.name,
            "status": deployment.status,
            "failure": deployment.failure,
            "model": model.name,
        }
    )


def _cards(session: Session, services: Services, job: Job, found: list[Checkpoint]) -> list[CheckpointCard]:
    method, base, best, result = job.spec["method"], _base(job), best_step(session, job), model_of_job(session, job)
    models = models_by_adapter(session, job.project_id, [checkpoint.adapter for checkpoint in found])
    cards = []
    for checkpoint in found:
        folder: Folder = services.home / checkpoint.adapter
        validation, model = validation_of(checkpoint, method), models.get(checkpoint.adapter)
        cards.append(
            CheckpointCard(
                id=checkpoint.id,
                step=checkpoint.step,
                model_name=checkpoint.model_name,
                created_at=checkpoint.created_at,
                train=number(checkpoint.metrics.get("train"), measure_of(method)),
                validation=validation,
                difference=None if validation is None or base is None else validation - base,
                exact=number(checkpoint.metrics.get("validation"), "exact"),
                is_best=checkpoint.step == best,
                is_result=result is not None and result.step == checkpoint.step,
                bytes=adapter_bytes(folder),
                sha256=adapter_digest(folder),
                deployments=_deployments(session, model.id) if model else [],
            )
        )
    return cards


def _deployments(session: Session, model_id: str) -> list[str]:
    query = select(Deployment.name).where(Deployment.model_id == model_id).order_by(Deployment.created_at.desc())
    return list(session.scalars(query.limit(DEPLOYMENTS_SHOWN)))


def _base(job: Job) -> float | None:
    return number(job.progress.get("validations"), "base")


def _public_name(services: Services, job: Job) -> str:
    """The base model by a name that others know: that of its repository, else its id here; never a path."""
    base = job.spec["base_model"]
    try:
        local = services.directory.find(base).local
    except ObjectNotFoundError:  # taken out of the configuration since
        return str(base)
    is_repository = local.count("/") == 1 and not local.startswith((".", "/", "~")) and not Folder(local).exists()
    return local if is_repository else str(base)
