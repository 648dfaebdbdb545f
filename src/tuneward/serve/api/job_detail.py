"""`GET /api/jobs/{job_id}` and what lies below it: a job in full, its configuration, its rows, and its request."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.jobs.again import request_again
from tuneward.jobs.cards import cards_by_id
from tuneward.jobs.checkpoints import best_step, model_of_job
from tuneward.jobs.lineage import read_lineage, read_result
from tuneward.jobs.places import job_home
from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.jobs.remedies import remedy
from tuneward.jobs.resolved import resolve_config
from tuneward.jobs.row_report import problems_of, read_row_report
from tuneward.jobs.service import find_job
from tuneward.jobs.spec import FileSource, JobSpec, LogsSource, Source
from tuneward.jobs.states import TRANSITIONS, Action
from tuneward.runs.folder import RunFolder
from tuneward.serve.api.job_request import NewJobRequest
from tuneward.serve.api.job_shapes import (
    DataReport,
    JobConfiguration,
    JobDetail,
    JobFailure,
    Lineage,
    ModelCard,
    ProblemPage,
    RowFile,
    RowProblem,
    RunResult,
    SettingSection,
    Severity,
    SourceCard,
)
from tuneward.serve.deps import Use, Viewer
from tuneward.serve.openai.job_request import ResponseFormat
from tuneward.serve.services import Services
from tuneward.store.tables import Deployment, File, Job, Model

routes = APIRouter(prefix="/api/jobs")

PROBLEMS_SHOWN = 20
"""With the failure itself."""
DEPLOYMENTS_SHOWN = 10
USER_ACTIONS = (Action.PAUSE, Action.RESUME, Action.STOP, Action.CANCEL)


@routes.get("/{job_id}")
def retrieve(job_id: str, caller: Viewer, services: Use) -> JobDetail:
    """One job: where it stands, what it works on, how it ended, and what may be done with it."""
    return job_detail(services, caller.project_id, job_id)


@routes.get("/{job_id}/configuration")
def configuration(job_id: str, caller: Viewer, services: Use) -> JobConfiguration:
    """The settings that a job runs with, and what its run was made from."""
    job = services.jobs.get(caller.project_id, job_id)
    spec, run = JobSpec.model_validate(job.spec), _run(services, job)
    resolved, lineage = resolve_config(spec, run, job.model), read_lineage(spec, run)
    return JobConfiguration(
        sections=[SettingSection.model_validate(asdict(section)) for section in resolved.sections],
        yaml=resolved.yaml,
        changed_yaml=resolved.changed_yaml,
        lineage=None if lineage is None else Lineage.model_validate(lineage),
    )


@routes.get("/{job_id}/data")
def data_report(job_id: str, caller: Viewer, services: Use) -> DataReport:
    """What the check of a job's rows found. 404 until its rows have been checked."""
    job = services.jobs.get(caller.project_id, job_id)
    plan = job.progress.get("plan") or {}
    split = None
    if plan.get("training_rows") is not None:
        split = {"training": plan["training_rows"], "validation": plan.get("validation_rows") or 0}
    return DataReport.model_validate({**_report(services, job), "split": split})


@routes.get("/{job_id}/data/problems")
def data_problems(
    job_id: str,
    caller: Viewer,
    services: Use,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[int, Query(ge=0, le=10_000, description="`next` of the page before.")] = 0,
    severity: Severity | None = None,
    file: RowFile | None = None,
) -> ProblemPage:
    """What is wrong with rows, line by line. 404 until they have been checked."""
    job = services.jobs.get(caller.project_id, job_id)
    found, has_more = problems_of(_report(services, job), limit=limit, after=after, severity=severity, file=file)
    data = [RowProblem.model_validate(problem) for problem in found]
    return ProblemPage(data=data, next=after + len(data) if has_more else None)


@routes.get("/{job_id}/request", response_model_exclude_none=True)
def request_of(job_id: str, caller: Viewer, services: Use) -> NewJobRequest:
    """The body that makes the same job again with `POST /api/jobs`, whichever API it was created through."""
    again = services.database.read(lambda session: request_again(session, find_job(session, caller.project_id, job_id)))
    if "response_format" in again:
        again["response_format"] = ResponseFormat.model_validate(again["response_format"])
    # Not checked: what the job failed for is to be mended by whoever clones it.
    return NewJobRequest.model_construct(**again)


def job_detail(services: Services, project_id: str, name: str) -> JobDetail:
    """A job in full. Raises ObjectNotFoundError."""

    def read(session: Session) -> tuple[Job, dict[str, Any]]:
        job = find_job(session, project_id, name)
        spec = JobSpec.model_validate(job.spec)
        [(_, card)] = cards_by_id(session, [job.id])
        return job, card.model_dump() | {
            "training": _source(session, project_id, spec.training),
            "validation_sources": [_source(session, project_id, source) for source in spec.validation],
            "tuned_model": _model(session, model_of_job(session, job)),
            "best_checkpoint": best_step(session, job),
            "suffix": spec.suffix,
            "output_uri": spec.output_uri,
        }

    job, told = services.database.read(read)
    result = read_result(_run(services, job))
    return JobDetail.model_validate(
        told
        | {
            "actions": [action for action in USER_ACTIONS if action in TRANSITIONS[job.state]],
            "created_by": job.created_by,
            "phases": [{"name": name, **times} for name, times in job.phases.items()],
            "trained_tokens": job.progress.get("trained_tokens"),
            "plan": job.progress.get("plan") or {},
            "metadata": job.user_metadata,
            "result_files": job.result_files,
            "failure": _failure(services, job),
            "result": None if result is None else RunResult.model_validate(result),
        }
    )


def _run(services: Services, job: Job) -> RunFolder:
    return RunFolder(job_home(services.home, job.project_id, job.id) / "run")


def _report(services: Services, job: Job) -> dict[str, Any]:
    report = read_row_report(job_home(services.home, job.project_id, job.id))
    if report is None:
        raise ObjectNotFoundError(f"The rows of job {job.name} have not been checked.", code="not_checked")
    return report


def _failure(services: Services, job: Job) -> JobFailure | None:
    if job.error is None:
        return None
    code = job.error.get("code")
    report = read_row_report(job_home(services.home, job.project_id, job.id))
    found, has_more = problems_of(report, limit=PROBLEMS_SHOWN, severity="error") if report else ([], False)
    return JobFailure(
        code=code,
        message=str(job.error.get("message") or "The job failed."),
        param=job.error.get("param"),
        remedy=remedy(code),
        problems=[RowProblem.model_validate(problem) for problem in found],
        has_more_problems=has_more,
    )


def _source(session: Session, project_id: str, source: Source) -> SourceCard:
    filters = None
    if isinstance(source, LogsSource) and source.filters is not None:
        filters = source.filters.model_dump(mode="json", exclude_none=True)
    if not isinstance(source, FileSource):
        return SourceCard(kind=source.kind, name=source.uri, filename=None, bytes=None, filters=filters)
    file = session.get(File, source.file_id)
    is_there = file is not None and file.project_id == project_id
    return SourceCard(
        kind="file",
        name=source.file_id,
        filename=file.filename if file and is_there else None,
        bytes=file.bytes if file and is_there else None,
        filters=None,
    )


def _model(session: Session, model: Model | None) -> ModelCard | None:
    if model is None:
        return None
    deployed = select(Deployment.name).where(Deployment.model_id == model.id).order_by(Deployment.created_at.desc())
    return ModelCard(
        id=model.id,
        name=model.name,
        custom_name=model.custom_name,
        step=model.step,
        created_at=model.created_at,
        deployments=list(session.scalars(deployed.limit(DEPLOYMENTS_SHOWN))),
    )
