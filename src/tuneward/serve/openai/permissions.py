"""`/v1/fine_tuning/checkpoints/{model}/permissions`: other projects may use a checkpoint.

Clients send an administrator's key or any other, so both are taken; but only the project that trained the checkpoint
grants, sees and takes back.

Source: OpenAI RFT contract, 1.1, 1.6 and 3.8.
"""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.jobs.problems import InvalidRequestError, ObjectNotFoundError
from tuneward.jobs.service import take
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.store.ids import new_id
from tuneward.store.tables import Checkpoint, CheckpointPermission, Model, Project
from tuneward.types import Json

routes = APIRouter(prefix="/fine_tuning/checkpoints")


class Grant(BaseModel):
    """The body of a create request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    project_ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=256)]], Field(min_length=1, max_length=100)
    ]


@routes.post("/{model:path}/permissions")
def create(model: str, body: Grant, principal: Developer, services: Use) -> Json:
    """Let projects use a checkpoint; what is there already stays as it is."""

    def work(session: Session) -> list[CheckpointPermission]:
        checkpoint = _checkpoint(session, principal.project_id, model)
        wanted = list(dict.fromkeys(body.project_ids))
        known = set(session.scalars(select(Project.id).where(Project.id.in_(wanted))))
        for index, project_id in enumerate(wanted):
            if project_id not in known:
                place = f"project_ids[{index}]"
                raise InvalidRequestError(f"No project {project_id} here.", param=place, code="project_not_found")
        return [_permit(session, checkpoint, project_id) for project_id in wanted]

    return _page(services.database.write(work), has_more=False)


@routes.get("/{model:path}/permissions")
def list_permissions(
    model: str,
    principal: Viewer,
    services: Use,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    after: str | None = None,
    order: Literal["ascending", "descending"] = "descending",
    project_id: str | None = None,
) -> Json:
    """Who may use a checkpoint."""
    row = CheckpointPermission

    def work(session: Session) -> Json:
        checkpoint = _checkpoint(session, principal.project_id, model)
        query = select(row).where(row.checkpoint_id == checkpoint.id)
        if project_id is not None:
            query = query.where(row.project_id == project_id)
        is_rising = order == "ascending"
        if after is not None:
            last = _permission(session, checkpoint, after)
            is_earlier = (row.created_at < last.created_at) | ((row.created_at == last.created_at) & (row.id < last.id))
            query = query.where((~is_earlier & (row.id != last.id)) if is_rising else is_earlier)
        keys = (row.created_at, row.id)
        page = take(session, query.order_by(*(key if is_rising else key.desc() for key in keys)), limit)
        return _page(page.items, has_more=page.has_more)

    return services.database.read(work)


@routes.delete("/{model:path}/permissions/{permission_id}")
def delete(model: str, permission_id: str, principal: Developer, services: Use) -> Json:
    """Take a permission back."""

    def work(session: Session) -> None:
        session.delete(_permission(session, _checkpoint(session, principal.project_id, model), permission_id))

    services.database.write(work)
    return {"id": permission_id, "object": "checkpoint.permission", "deleted": True}


def _checkpoint(session: Session, project_id: str, model: str) -> Checkpoint:
    """The project's checkpoint by its name, or the one that a tuned model was made from."""
    query = select(Checkpoint).where(Checkpoint.project_id == project_id)
    checkpoint = session.scalars(query.where(Checkpoint.model_name == model)).first()
    if checkpoint is None:
        tuned = session.scalars(select(Model).where(Model.project_id == project_id, Model.name == model)).first()
        if tuned is not None and tuned.job_id is not None:
            same = query.where(Checkpoint.job_id == tuned.job_id, Checkpoint.step == tuned.step)
            checkpoint = session.scalars(same).first()
    if checkpoint is None:
        raise ObjectNotFoundError(f"No checkpoint {model} here.", code="not_found")
    return checkpoint


def _permission(session: Session, checkpoint: Checkpoint, permission_id: str) -> CheckpointPermission:
    permission = session.get(CheckpointPermission, permission_id)
    if permission is None or permission.checkpoint_id != checkpoint.id:
        raise ObjectNotFoundError(f"No permission {permission_id} of {checkpoint.model_name}.", code="not_found")
    return permission


def _permit(session: Session, checkpoint: Checkpoint, project_id: str) -> CheckpointPermission:
    row = CheckpointPermission
    same = select(row).where(row.checkpoint_id == checkpoint.id, row.project_id == project_id)
    permission = session.scalars(same).first()
    if permission is None:
        permission = row(
            id=new_id("cp_", length=24), checkpoint_id=checkpoint.id, project_id=project_id, created_at=time.time()
        )
        session.add(permission)
        session.flush()
    return permission


def _page(permissions: Json, *, has_more: bool) -> Json:
    found = [
        {
            "object": "checkpoint.permission",
            "id": permission.id,
            "created_at": int(permission.created_at),
            "project_id": permission.project_id,
        }
        for permission in permissions
    ]
    return {
        "object": "list",
        "data": found,
        "first_id": found[0]["id"] if found else None,
        "last_id": found[-1]["id"] if found else None,
        "has_more": has_more,
    }
