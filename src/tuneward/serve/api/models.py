"""`GET /api/models` and `GET /api/deployments`: tuned models with what they gained, and the names they are served by.

They are made, changed and deleted through the routes of either dialect: `DELETE /v1/models/{name}`,
`/model-customization/custom-model-deployments`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from tuneward.accounts.principal import Principal
from tuneward.jobs.deployments import DeploymentQuery
from tuneward.jobs.model_facts import ModelFacts, facts_of
from tuneward.jobs.models import Mark, ModelQuery
from tuneward.serve.api.cursors import LONGEST, cursor_of, mark_of
from tuneward.serve.api.model import ApiModel
from tuneward.serve.bedrock.names import Names, names_for
from tuneward.serve.deps import Use, Viewer
from tuneward.serve.services import Services
from tuneward.store.tables import Deployment, Model

routes = APIRouter(prefix="/api", tags=["console"])

WEIGHTS = "adapter_model.safetensors"

Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str | None, Query(max_length=LONGEST, description="`next` of the page before.")]
Search = Annotated[str | None, Query(max_length=200, description="Part of a name; letter case does not matter.")]


class BaseModelName(ApiModel):
    """What a model was tuned from."""

    id: str
    """Name in both dialects."""
    arn: str


class JobName(ApiModel):
    """The job that made a model."""

    id: str
    name: str
    method: Literal["reinforcement", "supervised"]


class Gain(ApiModel):
    """The validation rows before and after."""

    measure: Literal["reward", "loss"]
    """`reward`: higher is better; `loss`, of supervised jobs: lower is better."""
    base: float | None
    """Before the first step; null when it was not measured."""
    tuned: float | None


class DeploymentName(ApiModel):
    """A deployment, in short."""

    id: str
    name: str
    arn: str
    status: str


class TunedModel(ApiModel):
    """A tuned model."""

    id: str
    name: str
    """`ft:…`: what the OpenAI API and `/api/compare` take as `model`."""
    custom_name: str
    """`customModelName` of Bedrock."""
    arn: str
    base: BaseModelName
    job: JobName | None
    """Null: brought from outside, or the job is gone."""
    step: int
    validation: Gain | None
    created_at: float
    """Seconds since 1970."""
    bytes: int | None
    """Of the adapter's weights; null when they are missing on the disk."""
    is_loaded: bool
    """In memory now; others are loaded when they are called."""
    deployments: list[DeploymentName]
    """The newest ten."""


class ModelPage(ApiModel):
    """Part of the list, newest first."""

    data: list[TunedModel]
    next: str | None
    """`after` of the next page; null on the last one."""


class ModelName(ApiModel):
    """The model behind a deployment."""

    id: str
    name: str
    custom_name: str
    arn: str
    base_id: str


class Swap(ApiModel):
    """The last change of the model behind a deployment."""

    model: ModelName | None
    """That it was changed to; null when that model was deleted since."""
    status: Literal["UpdateCompleted", "UpdateFailed"]


class DeploymentCard(ApiModel):
    """A deployment."""

    id: str
    name: str
    arn: str
    """What the runtime of Bedrock, the OpenAI API and `/api/compare` take as the model."""
    description: str | None
    status: Literal["Creating", "Active", "Failed"]
    failure: str | None
    model: ModelName
    last_swap: Swap | None
    created_at: float
    updated_at: float


class DeploymentPage(ApiModel):
    """Part of the list, newest first."""

    data: list[DeploymentCard]
    next: str | None


@routes.get("/models")
def list_models(
    caller: Viewer, services: Use, limit: Limit = 20, after: After = None, search: Search = None
) -> ModelPage:
    """The project's tuned models."""
    found = services.models.list(caller.project_id, ModelQuery(limit=limit, after=mark_of(after), search=search))
    facts = services.database.read(lambda session: facts_of(session, found.items))
    names, loaded = names_for(services, caller), services.catalog.loaded_adapters
    data = [_model(model, facts[model.id], names, services.home / model.adapter, loaded) for model in found.items]
    return ModelPage(data=data, next=cursor_of(Mark.after(found)))


@routes.get("/deployments")
def list_deployments(
    caller: Viewer, services: Use, limit: Limit = 20, after: After = None, search: Search = None
) -> DeploymentPage:
    """The project's deployments."""
    query = DeploymentQuery(limit=limit, after=mark_of(after), search=search)
    found = services.deployments.list(caller.project_id, query)
    models = _behind(services, caller, found.items)
    names = names_for(services, caller)
    return DeploymentPage(
        data=[_deployment(deployment, models, names) for deployment in found.items],
        next=cursor_of(Mark.after(found)),
    )


def _behind(services: Services, caller: Principal, deployments: Sequence[Deployment]) -> dict[str, Model]:
    ids = {deployment.model_id for deployment in deployments}
    ids |= {deployment.update["model_id"] for deployment in deployments if deployment.update}
    return services.models.by_ids(caller.project_id, ids)


def _model(model: Model, facts: ModelFacts, names: Names, adapter: Path, loaded: frozenset[Path]) -> TunedModel:
    job, measured = facts.job, facts.measured
    return TunedModel(
        id=model.id,
        name=model.name,
        custom_name=model.custom_name,
        arn=names.model(model),
        base=BaseModelName(id=model.base_model, arn=names.foundation(model.base_model)),
        job=JobName(id=job.id, name=job.name, method=job.spec["method"]) if job else None,
        step=model.step,
        validation=Gain(measure=measured.measure, base=measured.before, tuned=measured.after) if measured else None,
        created_at=model.created_at,
        bytes=_size(adapter / WEIGHTS),
        is_loaded=adapter in loaded,
        deployments=[
            DeploymentName(id=one.id, name=one.name, arn=names.deployment(one), status=one.status)
            for one in facts.deployments
        ],
    )


def _deployment(deployment: Deployment, models: Mapping[str, Model], names: Names) -> DeploymentCard:
    swap = deployment.update
    return DeploymentCard.model_validate(
        {
            "id": deployment.id,
            "name": deployment.name,
            "arn": names.deployment(deployment),
            "description": deployment.description,
            "status": deployment.status,
            "failure": deployment.failure,
            "model": _model_name(models[deployment.model_id], names),
            "last_swap": swap and {"model": _model_name(models.get(swap["model_id"]), names), "status": swap["status"]},
            "created_at": deployment.created_at,
            "updated_at": deployment.updated_at,
        }
    )


def _model_name(model: Model | None, names: Names) -> ModelName | None:
    if model is None:
        return None
    return ModelName(
        id=model.id, name=model.name, custom_name=model.custom_name, arn=names.model(model), base_id=model.base_model
    )


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
