"""A job as it is read back. Source: OpenAI RFT contract, 3.5 and 3.6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from tuneward.jobs.spec import JobSpec
from tuneward.jobs.states import TERMINAL
from tuneward.serve.openai.job_method import method_body
from tuneward.serve.services import Services
from tuneward.store.tables import Job, Model
from tuneward.types import Json

STATUS = {
    "validating": "validating_files",
    "queued": "queued",
    "running": "running",
    "pausing": "running",
    "paused": "paused",
    "stopping": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
    "stopped": "cancelled",
}
"""State → status. While a job is pausing or stopping, its current step still runs."""


def job_bodies(services: Services, jobs: Sequence[Job]) -> list[dict[str, Json]]:
    """Bodies of jobs, in their order."""
    wanted = [job.model_id for job in jobs if job.model_id is not None]
    names: Mapping[str, str] = {}
    if wanted:
        query = select(Model.id, Model.name).where(Model.id.in_(wanted))
        names = {row.id: row.name for row in services.database.read(lambda session: session.execute(query).all())}
    organization = services.config.organization
    return [_body(job, names.get(job.model_id or ""), f"org-{organization}") for job in jobs]


def job_body(services: Services, job: Job) -> dict[str, Json]:
    """The body of one job."""
    return job_bodies(services, [job])[0]


def _body(job: Job, model_name: str | None, organization: str) -> dict[str, Json]:
    spec = JobSpec.model_validate(job.spec)
    is_over = job.state in TERMINAL
    request = job.request if job.dialect == "openai" else {}
    method = method_body(spec, request, is_resolved=job.state != "validating")
    top = method["supervised"]["hyperparameters"] if spec.method == "supervised" else None
    estimate = job.progress.get("estimated_finish")
    return {
        "object": "fine_tuning.job",
        "id": f"ftjob-{job.id}",
        "model": job.model,
        "created_at": int(job.created_at),
        "finished_at": int(job.finished_at) if is_over and job.finished_at is not None else None,
        "estimated_finish": int(estimate) if estimate is not None and not is_over else None,
        "fine_tuned_model": model_name,
        "organization_id": organization,
        "result_files": job.result_files,
        "status": STATUS[job.state],
        "training_file": _source(spec.training),
        "validation_file": _source(spec.validation[0]) if spec.validation else None,
        "hyperparameters": top,
        "trained_tokens": job.progress.get("trained_tokens") if is_over else None,
        "error": {"code": None, "param": None, **job.error} if job.error else None,
        "user_provided_suffix": spec.suffix,
        "seed": spec.config.get("run", {}).get("seed", 0),  # a run's own default, as jobs of Bedrock have it
        "integrations": list(spec.integrations),
        "method": method,
        "metadata": job.user_metadata,
        "usage_metrics": _usage(job),
        "eval_id": None,
        "shared_with_openai": False,
        "tuneward": _further(job),
    }


def _source(source: Any) -> str:
    """The file's id, or the address of rows that are no uploaded file."""
    return str(source.file_id if source.kind == "file" else source.uri)


def _usage(job: Job) -> dict[str, Json] | None:
    training = job.phases.get("training") or {}
    started, ended = training.get("started_at"), training.get("ended_at")
    if started is None or ended is None:
        return None
    return {"training_seconds": round(ended - started, 3), "trained_tokens": job.progress.get("trained_tokens")}


def _further(job: Job) -> dict[str, Json]:
    """What the wire format has no place for."""
    progress = {name: job.progress.get(name) for name in ("step", "total_steps")}
    return {"name": job.name, "state": job.state, **progress}
