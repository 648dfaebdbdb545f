"""On-demand deployments of custom models. Source: Bedrock RFT contract, 8.3 and 9.1."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response

from tuneward.jobs.deployments import DeploymentQuery
from tuneward.jobs.models import Mark
from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.jobs.tags import tag_key
from tuneward.serve.bedrock.constraints import (
    CustomModelArn,
    DeploymentIdentifier,
    DeploymentName,
    Member,
    RequestToken,
    Tags,
    text,
)
from tuneward.serve.bedrock.names import Names, names_for
from tuneward.serve.bedrock.pages import ListQuery, page, seconds, timestamp, without_none
from tuneward.serve.bedrock.tags import set_tags
from tuneward.serve.bedrock.validation import AwsRoute
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.store.tables import Deployment, Model

routes = APIRouter(prefix="/model-customization/custom-model-deployments", route_class=AwsRoute, tags=["bedrock"])

DeploymentLabel = Annotated[DeploymentIdentifier, Path(alias="customModelDeploymentIdentifier")]


class CreateDeployment(Member):
    model_deployment_name: DeploymentName
    model_arn: CustomModelArn
    description: Annotated[str, text(1, 2048)] | None = None
    tags: Tags = []  # noqa: RUF012
    client_request_token: RequestToken | None = None


class UpdateDeployment(Member):
    model_arn: CustomModelArn


class ListDeploymentsQuery(ListQuery):
    created_after: datetime | None = None
    created_before: datetime | None = None
    status_equals: Literal["Creating", "Active", "Failed"] | None = None
    model_arn_equals: CustomModelArn | None = None


@routes.post("", status_code=202)
def create(asked: CreateDeployment, services: Use, caller: Developer) -> dict[str, str]:
    """CreateCustomModelDeployment."""
    deployment = services.deployments.create(
        caller.project_id,
        asked.model_deployment_name,
        asked.model_arn,
        description=asked.description,
        token=asked.client_request_token,
    )
    set_tags(services.database, tag_key("custom-model-deployment", deployment.id), asked.tags)
    return {"customModelDeploymentArn": names_for(services, caller).deployment(deployment)}


@routes.get("")
def list_deployments(query: Annotated[ListDeploymentsQuery, Query()], services: Use, caller: Viewer) -> dict[str, Any]:
    """ListCustomModelDeployments."""
    model_id = None
    if query.model_arn_equals is not None:
        try:
            model_id = services.models.get(caller.project_id, query.model_arn_equals).id
        except ObjectNotFoundError:
            return page("modelDeploymentSummaries", [], None)
    wanted = DeploymentQuery(
        limit=query.max_results,
        after=query.after,
        name_contains=query.name_contains,
        status=query.status_equals,
        model_id=model_id,
        created_after=seconds(query.created_after),
        created_before=seconds(query.created_before),
        oldest_first=query.sort_order == "Ascending",
    )
    found = services.deployments.list(caller.project_id, wanted)
    models = services.models.by_ids(caller.project_id, (deployment.model_id for deployment in found.items))
    names = names_for(services, caller)
    summaries = [
        {"customModelDeploymentName": deployment.name, **_common(deployment, models, names)}
        for deployment in found.items
    ]
    return page("modelDeploymentSummaries", summaries, Mark.after(found))


@routes.get("/{customModelDeploymentIdentifier:label}")
def get(identifier: DeploymentLabel, services: Use, caller: Viewer) -> dict[str, Any]:
    """GetCustomModelDeployment."""
    deployment = services.deployments.get(caller.project_id, identifier)
    update = deployment.update or {}
    models = services.models.by_ids(caller.project_id, {deployment.model_id, update.get("model_id", "")})
    names = names_for(services, caller)
    swapped_in = models.get(update.get("model_id", ""))  # it may have been deleted since
    return {
        "modelDeploymentName": deployment.name,
        **_common(deployment, models, names),
        **without_none({"description": deployment.description}),
        **(
            {"updateDetails": {"modelArn": names.model(swapped_in), "updateStatus": update["status"]}}
            if swapped_in
            else {}
        ),
    }


@routes.patch("/{customModelDeploymentIdentifier:label}", status_code=202)
def update(identifier: DeploymentLabel, asked: UpdateDeployment, services: Use, caller: Developer) -> dict[str, str]:
    """UpdateCustomModelDeployment."""
    deployment = services.deployments.update(caller.project_id, identifier, asked.model_arn)
    return {"customModelDeploymentArn": names_for(services, caller).deployment(deployment)}


@routes.delete("/{customModelDeploymentIdentifier:label}")
def delete(identifier: DeploymentLabel, services: Use, caller: Developer) -> Response:
    """DeleteCustomModelDeployment."""
    services.deployments.delete(caller.project_id, identifier)
    return Response()


def _common(deployment: Deployment, models: Mapping[str, Model], names: Names) -> dict[str, Any]:
    """What Get and List have in common; the member with the name differs."""
    return without_none(
        {
            "customModelDeploymentArn": names.deployment(deployment),
            "modelArn": names.model(models[deployment.model_id]),
            "createdAt": timestamp(deployment.created_at),
            "status": deployment.status,
            "lastUpdatedAt": timestamp(deployment.updated_at),
            "failureMessage": deployment.failure,
        }
    )
