"""Deployments: names under which Bedrock's runtime serves tuned models. Source: Bedrock RFT contract, 8.3 and 9.1."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import or_, select, tuple_
from sqlalchemy.orm import Session

from tuneward.jobs.adapter_check import adapter_fault
from tuneward.jobs.arns import id_in_arn
from tuneward.jobs.models import Mark, find_model
from tuneward.jobs.problems import ConflictError, ObjectNotFoundError
from tuneward.jobs.rivals import again_after_rival
from tuneward.jobs.service import Page, take
from tuneward.jobs.tags import drop_tags, tag_key
from tuneward.store.database import Database
from tuneward.store.ids import new_id
from tuneward.store.tables import Deployment, RequestToken


@dataclass(frozen=True, slots=True)
class DeploymentQuery:
    """Which deployments to list, and in which order."""

    limit: int = 20
    after: Mark | None = None
    name_contains: str | None = None
    search: str | None = None
    """Part of its name or description; letter case does not matter."""
    status: str | None = None
    model_id: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    oldest_first: bool = False


class DeploymentService:
    """Deployments of projects; a deployment is ready at once when its adapter is whole, else failed.

    Args:
        database: where they are.
        home: of the server; adapters' folders are relative to it.
    """

    def __init__(self, database: Database, home: Path):
        self._database = database
        self._home = home

    def create(
        self, project_id: str, name: str, model: str, *, description: str | None = None, token: str | None = None
    ) -> Deployment:
        """Deploy a model.

        Args:
            project_id: whose.
            name: unique in its project.
            model: any name of one of the project's models.
            description: in the owner's words.
            token: a second deployment of the same token is not made; the first one is answered.

        Raises:
            ObjectNotFoundError: no such model.
            ConflictError: the name is taken.
        """

        def work(session: Session) -> Deployment:
            # The lock comes first, so that of two requests at once the second one sees what the first has made.
            tuned = find_model(session, project_id, model, lock=True)
            made = session.get(RequestToken, (project_id, "deployment", token)) if token else None
            if made and (first := session.get(Deployment, made.object_id)):
                return first
            taken = select(Deployment.id).where(Deployment.project_id == project_id, Deployment.name == name)
            if session.scalar(taken):
                raise ConflictError(f'A deployment named "{name}" exists already; choose another name.')
            now = time.time()
            fault = adapter_fault(self._home / tuned.adapter)
            deployment = Deployment(
                id=new_id(),
                project_id=project_id,
                name=name,
                description=description,
                model_id=tuned.id,
                status="Failed" if fault else "Active",
                failure=fault,
                update=None,
                created_at=now,
                updated_at=now,
            )
            session.add(deployment)
            if token:
                object_id = deployment.id
                session.merge(
                    RequestToken(
                        project_id=project_id, kind="deployment", token=token, object_id=object_id, created_at=now
                    )
                )
            session.flush()
            return deployment

        return again_after_rival(lambda: self._database.write(work))

    def get(self, project_id: str, name: str) -> Deployment:
        """A deployment by id, name or ARN. Raises ObjectNotFoundError."""
        return self._database.read(lambda session: find_deployment(session, project_id, name))

    def list(self, project_id: str, query: DeploymentQuery) -> Page[Deployment]:
        """A page of the project's deployments."""

        def work(session: Session) -> Page[Deployment]:
            wanted = select(Deployment).where(Deployment.project_id == project_id)
            if query.name_contains:
                wanted = wanted.where(Deployment.name.contains(query.name_contains, autoescape=True))
            if query.search:
                texts = (Deployment.name, Deployment.description)
                wanted = wanted.where(or_(*(text.icontains(query.search, autoescape=True) for text in texts)))
            if query.status is not None:
                wanted = wanted.where(Deployment.status == query.status)
            if query.model_id is not None:
                wanted = wanted.where(Deployment.model_id == query.model_id)
            if query.created_after is not None:
                wanted = wanted.where(Deployment.created_at > query.created_after)
            if query.created_before is not None:
                wanted = wanted.where(Deployment.created_at < query.created_before)
            place = tuple_(Deployment.created_at, Deployment.id)
            if query.after is not None:
                mark = tuple_(*query.after)
                wanted = wanted.where(place > mark if query.oldest_first else place < mark)
            columns = (Deployment.created_at, Deployment.id)
            ordered = wanted.order_by(*(column if query.oldest_first else column.desc() for column in columns))
            return take(session, ordered, query.limit)

        return self._database.read(work)

    def update(self, project_id: str, name: str, model: str) -> Deployment:
        """Put another model behind a deployment. When its adapter is not whole, the old one stays and the update has
        failed. Raises ObjectNotFoundError."""

        def work(session: Session) -> Deployment:
            deployment = find_deployment(session, project_id, name, lock=True)
            tuned = find_model(session, project_id, model, lock=True)
            fault = adapter_fault(self._home / tuned.adapter)
            deployment.updated_at = time.time()
            deployment.update = {"model_id": tuned.id, "status": "UpdateFailed" if fault else "UpdateCompleted"}
            if fault is None:
                deployment.model_id, deployment.status, deployment.failure = tuned.id, "Active", None
            else:
                deployment.failure = fault
            session.flush()
            return deployment

        return again_after_rival(lambda: self._database.write(work))

    def delete(self, project_id: str, name: str) -> None:
        """Delete a deployment; its model stays. Raises ObjectNotFoundError."""

        def work(session: Session) -> None:
            deployment = find_deployment(session, project_id, name, lock=True)
            drop_tags(session, tag_key("custom-model-deployment", deployment.id))
            session.delete(deployment)

        self._database.write(work)


def find_deployment(session: Session, project_id: str, name: str, *, lock: bool = False) -> Deployment:
    """A project's deployment by id, name or ARN. Raises ObjectNotFoundError."""
    deployment_id = id_in_arn(name, "custom-model-deployment")
    named = Deployment.id == deployment_id if deployment_id else or_(Deployment.id == name, Deployment.name == name)
    query = select(Deployment).where(Deployment.project_id == project_id, named).order_by(Deployment.created_at)
    found = session.scalars(query.with_for_update() if lock else query).first()
    if found is None:
        raise ObjectNotFoundError(f'No deployment "{name}" here.')
    return found
