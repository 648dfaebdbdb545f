"""`GET /api/base-models`: the models that jobs may start from, and whether this machine can tune them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from fastapi import APIRouter

from tuneward.errors import ModelError
from tuneward.jobs.directory import BaseModel as Listed
from tuneward.models.facts import find_here, read_facts
from tuneward.serve.api.model import ApiModel
from tuneward.serve.deps import Use, Viewer

routes = APIRouter(prefix="/api", tags=["console"])


class MemoryPart(ApiModel):
    """A part of the memory at its peak."""

    name: str
    bytes: int


class TuningMemory(ApiModel):
    """What tuning takes on this machine: default settings, all prompts and completions as long as those allow."""

    needs_bytes: int
    """Predicted peak with the smallest sizes that trade time for memory."""
    planned_bytes: int
    """The same with those that would be chosen here, which are as fast as the memory allows."""
    limit_bytes: int | None
    """What may be planned with here; null: unknown."""
    phase: str
    """`load`, `rollout`, `update` or `evaluation`: when the peak is."""
    parts: list[MemoryPart]
    """Of that phase, the largest first."""
    fits: bool
    problem: str | None
    """Why not, and what to change."""


class BaseModelCard(ApiModel):
    """A base model. What is null is not known before the model is on this machine."""

    id: str
    managed_id: str
    """Its name in ARNs."""
    aliases: list[str]
    provider: str
    state: Literal["here", "absent", "damaged"]
    """`absent`: fetched or converted when it is used the first time, where that is possible."""
    problem: str | None
    """Of a damaged one."""
    loaded: bool
    """In memory, for inference."""
    architecture: str | None = None
    parameters: int | None = None
    layers: int | None = None
    hidden: int | None = None
    vocabulary: int | None = None
    context_tokens: int | None = None
    disk_bytes: int | None = None
    memory: TuningMemory | None = None
    """Null also when it was not asked for, or cannot be told."""


class BaseModelList(ApiModel):
    """Base models as the server's configuration lists them."""

    data: list[BaseModelCard]
    default: str | None
    """Id of the first."""


@routes.get("/base-models")
def base_models(_principal: Viewer, services: Use, memory: bool = True) -> BaseModelList:
    """All base models; with `memory=false` without the plan, which the first time takes seconds."""
    loaded = set(getattr(services.catalog, "loaded", ()))
    cards = [_card(base, base.local in loaded, with_memory=memory) for base in services.directory]
    return BaseModelList(data=cards, default=cards[0].id if cards else None)


def _card(base: Listed, loaded: bool, *, with_memory: bool) -> BaseModelCard:
    card = BaseModelCard(
        id=base.id,
        managed_id=base.managed_id,
        aliases=list(base.aliases),
        provider=base.provider,
        state="absent",
        problem=None,
        loaded=loaded,
    )
    try:
        folder = find_here(base.local)
        if folder is None:
            return card
        facts = read_facts(folder)
        plan = _memory(folder, base.id) if with_memory else None
        return card.model_copy(update={**asdict(facts), "state": "here", "memory": plan})
    except ModelError as error:
        return card.model_copy(update={"state": "damaged", "problem": str(error)})


def _memory(folder: Path, name: str) -> TuningMemory:
    from tuneward.runs.model_fit import model_fit  # loads torch, which a server does not need to begin

    fit = model_fit(folder, name)
    return TuningMemory(
        needs_bytes=fit.needs_bytes,
        planned_bytes=fit.planned_bytes,
        limit_bytes=fit.limit_bytes,
        phase=fit.phase,
        parts=[MemoryPart(name=part, bytes=count) for part, count in fit.parts],
        fits=fit.problem is None,
        problem=fit.problem,
    )
