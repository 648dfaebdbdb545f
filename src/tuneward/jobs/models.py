"""Tuned models of projects by any of their names."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Select, delete, or_, select, tuple_
from sqlalchemy.orm import Session

from tuneward.jobs.arns import id_in_arn
from tuneward.jobs.problems import ConflictError, InvalidRequestError, ObjectNotFoundError
from tuneward.jobs.service import Page, take
from tuneward.jobs.states import TERMINAL
from tuneward.jobs.tags import drop_tags, tag_key
from tuneward.store.database import Database
from tuneward.store.tables import Checkpoint, CheckpointPermission, Deployment, Job, Model


@dataclass(frozen=True, slots=True)
class Tuned:
    """What is needed to serve a name that stands for a tuned model."""

    name: str
    """As it was asked for."""
    base_model: str
    """Id in the model directory."""
    adapter: Path
    created_at: float
    owner: str
    """Project."""


class Mark(NamedTuple):
    """Where a page of a list ends; it holds also after that entry was deleted."""

    created_at: float
    id: str

    @classmethod
    def after(cls, found: Page[Job] | Page[Model] | Page[Deployment]) -> Mark | None:
        """Where the next page begins; None when there is none."""
        return cls(found.items[-1].created_at, found.items[-1].id) if found.has_more else None


@dataclass(frozen=True, slots=True)
class ModelQuery:
    """Which tuned models to list, and in which order."""

    limit: int = 20
    after: Mark | None = None
    name_contains: str | None = None
    search: str | None = None
    """Part of any of its names, or of its base model's; letter case does not matter."""
    base_models: frozenset[str] | None = None
    """Ids in the model directory."""
    created_after: float | None = None
    created_before: float | None = None
    oldest_first: bool = False


class ModelService:
    """Tuned models, checkpoints and deployments by any of their names; looks only at what the caller may use.

    Args:
        database: where they are.
        home: of the server; adapters' folders are relative to it.
    """

    def __init__(self, database: Database, home: Path):
        self._database = database
        self._home = home

    def find(self, project_id: str, name: str) -> Tuned:
        """What a name stands for.

        Args:
            project_id: of the caller.
            name: `ft:…` of a model or a checkpoint (also one that another project permits), custom model name or
                ARN, deployment ARN.

        Raises:
            ObjectNotFoundError: nothing of that name that the caller may use.
            InvalidRequestError: a deployment that is not active.
        """

        def work(session: Session) -> Tuned:
            if deployment_id := id_in_arn(name, "custom-model-deployment"):
                return self._tuned(name, _deployed(session, project_id, deployment_id))
            model = _model(session, project_id, name)
            if model is not None:
                return self._tuned(name, model)
            found = session.execute(_permitted(project_id, name)).first()
            if found is None:
                raise _no_model(name)
            checkpoint, job = found
            return Tuned(
                name,
                job.spec["base_model"],
                self._home / checkpoint.adapter,
                checkpoint.created_at,
                checkpoint.project_id,
            )

        return self._database.read(work)

    def usable(self, project_id: str) -> list[Tuned]:
        """Every tuned model of the project by its `ft:…` name, newest first."""
        query = select(Model).where(Model.project_id == project_id).order_by(Model.created_at.desc(), Model.id.desc())
        models = self._database.read(lambda session: session.scalars(query).all())
        return [self._tuned(model.name, model) for model in models]

    def get(self, project_id: str, name: str) -> Model:
        """A model by id, `ft:…` name, custom name or ARN. Raises ObjectNotFoundError."""
        return self._database.read(lambda session: find_model(session, project_id, name))

    def by_ids(self, project_id: str, ids: Iterable[str]) -> dict[str, Model]:
        """Those of the project's models that there are, by id."""
        query = select(Model).where(Model.project_id == project_id, Model.id.in_(set(ids)))
        return {model.id: model for model in self._database.read(lambda session: session.scalars(query).all())}

    def list(self, project_id: str, query: ModelQuery) -> Page[Model]:
        """A page of the project's models."""

        def work(session: Session) -> Page[Model]:
            wanted = select(Model).where(Model.project_id == project_id)
            if query.name_contains:
                wanted = wanted.where(Model.custom_name.contains(query.name_contains, autoescape=True))
            if query.search:
                names = (Model.custom_name, Model.name, Model.base_model)
                wanted = wanted.where(or_(*(name.icontains(query.search, autoescape=True) for name in names)))
            if query.base_models is not None:
                wanted = wanted.where(Model.base_model.in_(query.base_models))
            if query.created_after is not None:
                wanted = wanted.where(Model.created_at > query.created_after)
            if query.created_before is not None:
                wanted = wanted.where(Model.created_at < query.created_before)
            place = tuple_(Model.created_at, Model.id)
            if query.after is not None:
                mark = tuple_(*query.after)
                wanted = wanted.where(place > mark if query.oldest_first else place < mark)
            order = (Model.created_at, Model.id) if query.oldest_first else (Model.created_at.desc(), Model.id.desc())
            return take(session, wanted.order_by(*order), query.limit)

        return self._database.read(work)

    def delete(self, project_id: str, name: str) -> None:
        """Delete a model. Its adapter goes with it, and so does the checkpoint that it was made from.

        Raises:
            ObjectNotFoundError: no such model.
            ConflictError: it is deployed, or a job that has not ended starts from it.
        """

        def work(session: Session) -> str:
            model = find_model(session, project_id, name, lock=True)
            _check_unused(session, model)
            same = select(Checkpoint.id).where(Checkpoint.project_id == project_id, Checkpoint.adapter == model.adapter)
            session.execute(delete(CheckpointPermission).where(CheckpointPermission.checkpoint_id.in_(same)))
            session.execute(delete(Checkpoint).where(Checkpoint.id.in_(same)))
            drop_tags(session, tag_key("custom-model", model.id))
            session.delete(model)
            return model.adapter

        adapter = self._database.write(work)
        # Only now: had the transaction failed, the model would have to be whole.
        shutil.rmtree(self._home / adapter, ignore_errors=True)

    def _tuned(self, name: str, model: Model) -> Tuned:
        return Tuned(name, model.base_model, self._home / model.adapter, model.created_at, model.project_id)


def find_model(session: Session, project_id: str, name: str, *, lock: bool = False) -> Model:
    """A project's model by id, `ft:…` name, custom name or ARN. Raises ObjectNotFoundError."""
    model = _model(session, project_id, name, lock=lock)
    if model is None:
        raise _no_model(name)
    return model


def _model(session: Session, project_id: str, name: str, *, lock: bool = False) -> Model | None:
    if model_id := id_in_arn(name, "custom-model"):
        named = Model.id == model_id
    else:
        named = or_(Model.id == name, Model.name == name, Model.custom_name == name)
    query = select(Model).where(Model.project_id == project_id, named).order_by(Model.created_at)
    return session.scalars(query.with_for_update() if lock else query).first()


def _deployed(session: Session, project_id: str, deployment_id: str) -> Model:
    deployment = session.get(Deployment, deployment_id)
    if deployment is None or deployment.project_id != project_id:
        raise ObjectNotFoundError(f"No deployment {deployment_id} here.", code="model_not_found")
    if deployment.status != "Active":
        reason = f": {deployment.failure}" if deployment.failure else "."
        raise InvalidRequestError(f"Deployment {deployment.name} is {deployment.status}, not Active{reason}")
    model = session.get(Model, deployment.model_id)
    assert model is not None  # a foreign key
    return model


def _permitted(project_id: str, name: str) -> Select[Checkpoint, Job]:
    """A checkpoint of that name that the project owns or may use, with its job."""
    shared = select(CheckpointPermission.checkpoint_id).where(CheckpointPermission.project_id == project_id)
    return (
        select(Checkpoint, Job)
        .join(Job, Job.id == Checkpoint.job_id)
        .where(Checkpoint.model_name == name, or_(Checkpoint.project_id == project_id, Checkpoint.id.in_(shared)))
    )


def _check_unused(session: Session, model: Model) -> None:
    deployments = session.scalars(select(Deployment.name).where(Deployment.model_id == model.id)).all()
    if deployments:
        raise ConflictError(
            f"Model {model.custom_name} is deployed ({', '.join(deployments)}); delete its deployments first."
        )
    active = select(Job).where(Job.project_id == model.project_id, Job.state.not_in(TERMINAL))
    starting = [job.name for job in session.scalars(active) if job.spec.get("start_from") == model.adapter]
    if starting:
        raise ConflictError(f"Jobs that have not ended start from model {model.custom_name}: {', '.join(starting)}.")


def _no_model(name: str) -> ObjectNotFoundError:
    return ObjectNotFoundError(f"The model '{name}' does not exist here.", param="model", code="model_not_found")
