"""`/v1/models`. Source: OpenAI RFT contract, 7.1."""

from __future__ import annotations

from fastapi import APIRouter

from tuneward.errors import did_you_mean
from tuneward.serve.catalog import Catalog, ServedModel
from tuneward.serve.errors import ApiError
from tuneward.types import Json


def router(catalog: Catalog) -> APIRouter:
    """Routes that list a catalog."""
    routes = APIRouter()

    @routes.get("/models")
    async def list_models() -> Json:
        return {"object": "list", "data": [describe(model) for model in catalog]}

    @routes.get("/models/{name:path}")
    async def retrieve_model(name: str) -> Json:
        return describe(find(catalog, name))

    return routes


def describe(model: ServedModel) -> Json:
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": "tuneward",
        "version": model.version,
    }


def find(catalog: Catalog, name: str) -> ServedModel:
    """A model by name; ApiError 404 when there is none."""
    model = catalog.get(name)
    if model is None:
        hint = did_you_mean(name, [known.id for known in catalog]) or "."
        raise ApiError(404, f"The model '{name}' does not exist here{hint}", param="model", code="model_not_found")
    return model
