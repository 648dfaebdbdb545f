"""`/v1/models`. Source: OpenAI RFT contract, 7.1."""

from __future__ import annotations

from fastapi import APIRouter

from tuneward.serve.catalog import ModelCard
from tuneward.serve.deps import Use, Viewer
from tuneward.types import Json

routes = APIRouter()


@routes.get("/models")
def list_models(principal: Viewer, services: Use) -> Json:
    return {"object": "list", "data": [describe(model) for model in services.catalog.cards(principal)]}


@routes.get("/models/{name:path}")
def retrieve_model(name: str, principal: Viewer, services: Use) -> Json:
    return describe(services.catalog.card(principal, name))


def describe(model: ModelCard) -> Json:
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.owner,
        "version": model.version,
    }
