"""What is told of tuned models beside their names: who made them, how good they are, where they are deployed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session, aliased

from tuneward.store.tables import Checkpoint, Deployment, Job, JobEvent, Model

DEPLOYMENTS_SHOWN = 10
"""Of each model, the newest."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the validation rows say of a model and of what it was tuned from."""

    measure: Literal["reward", "loss"]
    """`loss` of supervised jobs: lower is better."""
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Of one model."""

    job: Job | None
    """None: brought from outside, or the job is gone."""
    measured: Measured | None
    deployments: tuple[Deployment, ...]
    """At most `DEPLOYMENTS_SHOWN`."""


def facts_of(session: Session, models: Sequence[Model]) -> dict[str, ModelFacts]:
    """Facts by the id of the model; a few queries, however many models there are."""
    job_ids = {model.job_id for model in models if model.job_id}
    jobs = {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(job_ids)))}
    before = _before_training(session, job_ids)
    places = [(model.job_id, model.step) for model in models if model.job_id]
    checkpoints = select(Checkpoint).where(tuple_(Checkpoint.job_id, Checkpoint.step).in_(places))
    after = {(one.job_id, one.step): one.metrics.get("validation") or {} for one in session.scalars(checkpoints)}
    deployed = _deployments(session, [model.id for model in models])
    return {
        model.id: ModelFacts(
            job := jobs.get(model.job_id or ""),
            _measured(job, before.get(model.job_id or ""), after.get((model.job_id or "", model.step))),
            tuple(deployed.get(model.id, ())),
        )
        for model in models
    }


def _before_training(session: Session, job_ids: set[str]) -> dict[str, dict[str, Any]]:
    """The evaluation before the first step, by job. It is among a job's first events, so little is read of each."""
    first = (
        select(JobEvent.data)
        .where(JobEvent.job_id == Job.id, JobEvent.type == "metrics", JobEvent.code == "evaluation")
        .order_by(JobEvent.seq)
        .limit(1)
        .scalar_subquery()
    )
    found = session.execute(select(Job.id, first).where(Job.id.in_(job_ids)))
    return {job_id: record for job_id, record in found if record and record.get("step") == 0}


def _measured(job: Job | None, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Measured | None:
    if job is None or not (before or after):
        return None
    is_supervised = job.spec["method"] == "supervised"
    name = "loss" if is_supervised else "reward_mean"
    return Measured("loss" if is_supervised else "reward", (before or {}).get(name), (after or {}).get(name))


def _deployments(session: Session, model_ids: Sequence[str]) -> dict[str, list[Deployment]]:
    """The newest of each model, newest first."""
    place = func.row_number().over(
        partition_by=Deployment.model_id, order_by=(Deployment.created_at.desc(), Deployment.id.desc())
    )
    ranked = select(Deployment, place.label("place")).where(Deployment.model_id.in_(model_ids)).subquery()
    newest = aliased(Deployment, ranked)
    found = session.scalars(select(newest).where(ranked.c.place <= DEPLOYMENTS_SHOWN).order_by(ranked.c.place))
    by_model: dict[str, list[Deployment]] = {}
    for deployment in found:
        by_model.setdefault(deployment.model_id, []).append(deployment)
    return by_model
