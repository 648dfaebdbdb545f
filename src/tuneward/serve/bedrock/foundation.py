"""Base models. Source: Bedrock RFT contract, 8.6."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tuneward.jobs.arns import is_managed, without_foundation_arn
from tuneward.jobs.directory import BaseModel as Base
from tuneward.serve.bedrock.constraints import ModelIdentifier
from tuneward.serve.bedrock.names import Names, names_for
from tuneward.serve.bedrock.validation import AwsRoute
from tuneward.serve.deps import Use, Viewer

routes = APIRouter(prefix="/foundation-models", route_class=AwsRoute, tags=["bedrock"])

CUSTOMIZATIONS = ["FINE_TUNING", "REINFORCEMENT_FINE_TUNING"]
"""The second is not in the service's model; clients pass it on."""

LONGEST_NAME = 20


class ListFoundationModelsQuery(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    by_provider: Annotated[str, Field(pattern=r"^(?:[A-Za-z0-9\- ]{1,63})$")] | None = None
    by_customization_type: (
        Literal["FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION", "REINFORCEMENT_FINE_TUNING"] | None
    ) = None
    by_output_modality: Literal["TEXT", "IMAGE", "EMBEDDING"] = "TEXT"
    by_inference_type: Literal["ON_DEMAND", "PROVISIONED"] = "ON_DEMAND"


@routes.get("")
def list_models(query: Annotated[ListFoundationModelsQuery, Query()], services: Use, caller: Viewer) -> dict[str, Any]:
    """ListFoundationModels. A model stands there once more for each alias that has the form of a managed id."""
    names = names_for(services, caller)
    summaries = [_summary(managed, base, names) for base in services.directory for managed in _managed_ids(base)]
    wanted = query.by_customization_type
    is_none = query.by_output_modality != "TEXT" or query.by_inference_type != "ON_DEMAND"
    if is_none or (wanted is not None and wanted not in CUSTOMIZATIONS):
        summaries = []
    if query.by_provider is not None:
        provider = query.by_provider.lower()
        summaries = [summary for summary in summaries if summary["providerName"].lower() == provider]
    return {"modelSummaries": summaries}


@routes.get("/{modelIdentifier:label}")
def get(
    identifier: Annotated[ModelIdentifier, Path(alias="modelIdentifier")], services: Use, caller: Viewer
) -> dict[str, Any]:
    """GetFoundationModel."""
    base = services.directory.find(identifier)
    asked = without_foundation_arn(identifier)
    managed = asked if asked in _managed_ids(base) else base.managed_id
    return {"modelDetails": _summary(managed, base, names_for(services, caller))}


def _managed_ids(base: Base) -> list[str]:
    return list(dict.fromkeys([base.managed_id, *filter(is_managed, base.aliases)]))


def _summary(managed: str, base: Base, names: Names) -> dict[str, Any]:
    return {
        "modelArn": names.foundation_alias(managed),
        "modelId": managed,
        "modelName": base.id[:LONGEST_NAME],
        "providerName": base.provider[:LONGEST_NAME],
        "inputModalities": ["TEXT"],
        "outputModalities": ["TEXT"],
        "responseStreamingSupported": True,
        "customizationsSupported": CUSTOMIZATIONS,
        "inferenceTypesSupported": ["ON_DEMAND"],
        "modelLifecycle": {"status": "ACTIVE"},
    }
