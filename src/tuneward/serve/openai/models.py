"""`/v1/models`. Source: OpenAI RFT contract, 7.1."""

from __future__ import annotations

from fastapi import APIRouter

from tuneward.jobs.problems import ForbiddenError, ObjectNotFoundError
from tuneward.serve.catalog import ModelCard
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.types import Json

routes = APIRouter()


@routes.get("/models")
def list_models(principal: Viewer, services: Use) -> Json:
    return {"object": "list", "data": [describe(model) for model in services.catalog.cards(principal)]}


@routes.get("/models/{name:path}")
def retrieve_model(name: str, principal: Viewer, services: Use) -> Json:
    return describe(services.catalog.card(principal, name))


@routes.delete("/models/{name:path}")
def delete_model(name: str, principal: Developer, services: Use) -> Json:
    try:
        services.models.delete(principal.project_id, name)
    except ObjectNotFoundError:
        services.catalog.card(principal, name)  # says so when there is nothing of this name at all
        raise ForbiddenError(
            f"{name} is no tuned model of this project; base models, runs and checkpoints cannot be deleted here.",
            param="model",
            code="model_not_deletable",
        ) from None
    return {"id": name, "object": "model", "deleted": True}


def describe(model: ModelCard) -> Json:
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.owner,
        "version": model.version,
    }
