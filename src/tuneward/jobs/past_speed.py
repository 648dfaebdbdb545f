"""How fast earlier jobs trained a model: the best basis there is for telling how long the next one will take."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import quantiles
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.runs.speed import PastSpeed
from tuneward.store.tables import Job, JobEvent

JOBS, STEPS = 5, 200
"""The newest jobs, and the newest steps of these, that are looked at."""
FEWEST_STEPS = 4


def past_speed(
    session: Session, project_id: str, base_model: str, method: Literal["reinforcement", "supervised"]
) -> PastSpeed | None:
    """What a project's newest jobs with a model took; None when too few steps are known."""
    wanted = (
        select(Job.id, Job.spec)
        .where(
            Job.project_id == project_id,
            Job.started_at.is_not(None),
            Job.spec["base_model"].as_string() == base_model,
            Job.spec["method"].as_string() == method,
        )
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(JOBS)
    )
    specs: dict[str, dict[str, Any]] = dict(session.execute(wanted).tuples().all())
    steps = (
        select(JobEvent.job_id, JobEvent.data)
        .where(JobEvent.job_id.in_(specs), JobEvent.type == "metrics", JobEvent.code == "step")
        .order_by(JobEvent.seq.desc())
        .limit(STEPS)
    )
    found = [(job_id, data) for job_id, data in session.execute(steps) if _is_usable(data)]
    if len(found) < FEWEST_STEPS:
        return None
    low, median, high = quantiles((_seconds_per_token(data) for _, data in found), n=4)
    lengths = list(_lengths(specs, found)) if method == "reinforcement" else []
    return PastSpeed(
        jobs=len({job_id for job_id, _ in found}),
        steps=len(found),
        low=low,
        median=median,
        high=high,
        length=min(1.0, sum(lengths) / len(lengths)) if lengths else None,
    )


def _is_usable(data: dict[str, Any]) -> bool:
    return bool(_tokens(data)) and bool((data.get("timing") or {}).get("seconds_step"))


def _tokens(data: dict[str, Any]) -> float:
    return float(data.get("completion_tokens") or data.get("trained_tokens") or 0)


def _seconds_per_token(data: dict[str, Any]) -> float:
    return float(data["timing"]["seconds_step"]) / _tokens(data)


def _lengths(specs: dict[str, dict[str, Any]], found: list[tuple[str, dict[str, Any]]]) -> Iterator[float]:
    for job_id, data in found:
        most = (specs[job_id].get("config", {}).get("training") or {}).get("max_completion_tokens")
        mean = data.get("completion_length_mean")
        if most and mean:
            yield mean / most
