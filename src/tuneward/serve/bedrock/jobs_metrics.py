"""The losses that the API shows of a job; rewards have no place there. Source: Bedrock RFT contract, 6.5."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.store.database import Database
from tuneward.store.tables import Job, JobEvent


def metrics_of(database: Database, job: Job) -> dict[str, Any]:
    """`trainingMetrics` of the newest step and `validationMetrics` of the newest evaluation, as far as there are any.

    A reinforcement job is evaluated by rewards, so it has no validation loss.
    """
    training, validation = database.read(
        lambda session: (_newest(session, job, "step"), _newest(session, job, "evaluation"))
    )
    metrics: dict[str, Any] = {}
    if training is not None:
        metrics["trainingMetrics"] = {"trainingLoss": training}
    if validation is not None:
        metrics["validationMetrics"] = [{"validationLoss": validation}]
    return metrics


def _newest(session: Session, job: Job, kind: str) -> float | None:
    query = (
        select(JobEvent)
        .where(JobEvent.job_id == job.id, JobEvent.type == "metrics", JobEvent.code == kind)
        .order_by(JobEvent.seq.desc())
        .limit(1)
    )
    event = session.scalar(query)
    loss = event.data.get("loss") if event else None
    return float(loss) if isinstance(loss, int | float) else None
