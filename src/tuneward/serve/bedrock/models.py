"""Custom models. Source: Bedrock RFT contract, 8.2."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import select

from tuneward.jobs.models import Mark, ModelQuery
from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.serve.bedrock.constraints import FoundationModelArn, ModelArn, ModelIdentifier
from tuneward.serve.bedrock.jobs_answer import customization_type, settings_of
from tuneward.serve.bedrock.jobs_metrics import metrics_of
from tuneward.serve.bedrock.names import Names, names_for
from tuneward.serve.bedrock.pages import ListQuery, page, seconds, timestamp
from tuneward.serve.bedrock.validation import AwsRoute
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.serve.services import Services
from tuneward.store.tables import Job, Model

routes = APIRouter(prefix="/custom-models", route_class=AwsRoute, tags=["bedrock"])

ModelLabel = Annotated[ModelIdentifier, Path(alias="modelIdentifier")]


class ListModelsQuery(ListQuery):
    creation_time_after: datetime | None = None
    creation_time_before: datetime | None = None
    base_model_arn_equals: ModelArn | None = None
    foundation_model_arn_equals: FoundationModelArn | None = None
    is_owned: bool = True
    model_status: Literal["Active", "Creating", "Failed"] = "Active"


@routes.get("")
def list_models(query: Annotated[ListModelsQuery, Query()], services: Use, caller: Viewer) -> dict[str, Any]:
    """ListCustomModels. Models are made whole, so all of them are active, and nobody sees another's."""
    bases = [name for name in (query.base_model_arn_equals, query.foundation_model_arn_equals) if name]
    wanted = ModelQuery(
        limit=query.max_results,
        after=query.after,
        name_contains=query.name_contains,
        base_models=frozenset.intersection(*(_base_models(services, name) for name in bases)) if bases else None,
        created_after=seconds(query.creation_time_after),
        created_before=seconds(query.creation_time_before),
        oldest_first=query.sort_order == "Ascending",
    )
    if not query.is_owned or query.model_status != "Active":
        return page("modelSummaries", [], None)
    found = services.models.list(caller.project_id, wanted)
    names = names_for(services, caller)
    jobs = _jobs_of(services, found.items)
    summaries = [_summary(model, jobs.get(model.job_id or ""), names) for model in found.items]
    return page("modelSummaries", summaries, Mark.after(found))


@routes.get("/{modelIdentifier:label}")
def get(identifier: ModelLabel, services: Use, caller: Viewer) -> dict[str, Any]:
    """GetCustomModel."""
    model = services.models.get(caller.project_id, identifier)
    job = _jobs_of(services, [model]).get(model.job_id or "")
    names = names_for(services, caller)
    details = {
        "modelArn": names.model(model),
        "modelName": model.custom_name,
        "baseModelArn": names.foundation(model.base_model),
        "creationTime": timestamp(model.created_at),
        "modelStatus": "Active",
    }
    if job is None:
        return details
    made_by = {"jobName": job.name, "jobArn": names.job(job), **settings_of(job), **metrics_of(services.database, job)}
    key = {"modelKmsKeyArn": job.request["customModelKmsKeyId"]} if "customModelKmsKeyId" in job.request else {}
    return {**details, **made_by, **key}


@routes.delete("/{modelIdentifier:label}")
def delete(identifier: ModelLabel, services: Use, caller: Developer) -> Response:
    """DeleteCustomModel."""
    services.models.delete(caller.project_id, identifier)
    return Response()


def _jobs_of(services: Services, models: Iterable[Model]) -> dict[str, Job]:
    """The jobs that made models, by id."""
    query = select(Job).where(Job.id.in_({model.job_id for model in models if model.job_id}))
    return {job.id: job for job in services.database.read(lambda session: session.scalars(query).all())}


def _base_models(services: Services, name: str) -> frozenset[str]:
    try:
        return frozenset({services.directory.find(name).id})
    except ObjectNotFoundError:
        return frozenset()


def _summary(model: Model, job: Job | None, names: Names) -> dict[str, Any]:
    return {
        "modelArn": names.model(model),
        "modelName": model.custom_name,
        "creationTime": timestamp(model.created_at),
        "baseModelArn": names.foundation(model.base_model),
        "baseModelName": names.base_id(model.base_model),
        "customizationType": customization_type(job) if job else "IMPORTED",
        "ownerAccountId": names.account_id,
        "modelStatus": "Active",
    }
