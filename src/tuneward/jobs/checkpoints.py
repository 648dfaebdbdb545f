"""Checkpoints of a job beyond their list: which is the best, which is the job's model, and making one a model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.jobs.deployments import DeploymentService
from tuneward.jobs.problems import ConflictError, ObjectNotFoundError
from tuneward.jobs.rivals import again_after_rival
from tuneward.jobs.service import find_job
from tuneward.store.database import Database
from tuneward.store.ids import new_id
from tuneward.store.tables import Checkpoint, Deployment, Job, Model

WEIGHTS = "adapter_model.safetensors"


def measure_of(method: str) -> str:
    """The number of an evaluation that checkpoints are chosen by."""
    return "loss" if method == "supervised" else "reward_mean"


def validation_of(checkpoint: Checkpoint, method: str) -> float | None:
    """What the evaluation after a checkpoint's step measured; None when there was none."""
    return number(checkpoint.metrics.get("validation"), measure_of(method))


def number(record: Mapping[str, Any] | None, name: str) -> float | None:
    """A number of a record; None when it was not measured."""
    found = (record or {}).get(name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def best_step(session: Session, job: Job) -> int | None:
    """Step of the checkpoint that did best on the validation rows, of equals the first; None before any was measured.

    Few checkpoints of a job are kept, so all of them are looked at.
    """
    method = job.spec["method"]
    sign = 1.0 if method == "supervised" else -1.0
    found = session.scalars(select(Checkpoint).where(Checkpoint.job_id == job.id))
    measured = [(sign * value, one.step) for one in found if (value := validation_of(one, method)) is not None]
    return min(measured)[1] if measured else None


def models_by_adapter(session: Session, project_id: str, adapters: Iterable[str]) -> dict[str, Model]:
    """Models of a project that are made of these folders, by folder."""
    query = select(Model).where(Model.project_id == project_id, Model.adapter.in_(set(adapters)))
    return {model.adapter: model for model in session.scalars(query)}


def model_of_job(session: Session, job: Job) -> Model | None:
    """The model that a job ended with, also one that was stopped; models of further checkpoints do not count."""
    if job.model_id is not None:
        return session.get(Model, job.model_id)
    query = select(Model).where(Model.job_id == job.id).order_by(Model.created_at)
    return next((model for model in session.scalars(query) if ":ckpt-step-" not in model.name), None)


def find_checkpoint(session: Session, job: Job, step: int) -> Checkpoint:
    """Raises ObjectNotFoundError."""
    found = session.scalar(select(Checkpoint).where(Checkpoint.job_id == job.id, Checkpoint.step == step))
    if found is None:
        raise ObjectNotFoundError(
            f"Job {job.name} has no checkpoint at step {step}; of its checkpoints the best and the newest are kept.",
            param="step",
        )
    return found


def adapter_bytes(folder: Path) -> int | None:
    """Size of an adapter's files; None when they are gone."""
    try:
        return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    except OSError:
        return None


def adapter_digest(folder: Path) -> str | None:
    """SHA-256 of an adapter's weights, as its manifest has it."""
    try:
        found = json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))[WEIGHTS]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def deploy_checkpoint(
    database: Database,
    deployments: DeploymentService,
    project_id: str,
    job_name: str,
    step: int,
    name: str,
    *,
    description: str | None = None,
) -> tuple[Deployment, Model]:
    """Deploy a checkpoint under a name; it becomes a model of its own unless it is one.

    A model is kept however many better checkpoints come. Asked for again, the same deployment is answered.

    Raises:
        ObjectNotFoundError: no such job or checkpoint.
        ConflictError: the name is another model's.
    """

    def make_model(session: Session) -> Model:
        # Its process forgets old checkpoints under the same lock: after this one is a model, none of its files go.
        job = find_job(session, project_id, job_name, lock=True)
        checkpoint = find_checkpoint(session, job, step)
        made = models_by_adapter(session, project_id, [checkpoint.adapter]).get(checkpoint.adapter)
        if made is not None:
            return made
        model = Model(
            id=new_id(),
            project_id=project_id,
            job_id=job.id,
            name=checkpoint.model_name,
            custom_name=checkpoint.model_name,
            base_model=job.spec["base_model"],
            step=checkpoint.step,
            adapter=checkpoint.adapter,
            created_at=time.time(),
        )
        session.add(model)
        session.flush()
        return model

    model = again_after_rival(lambda: database.write(make_model))
    try:
        return deployments.create(project_id, name, model.id, description=description), model
    except ConflictError:
        there = deployments.get(project_id, name)
        if there.model_id != model.id:
            raise
        return there, model
