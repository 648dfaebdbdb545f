"""Jobs as GetModelCustomizationJob and ListModelCustomizationJobs show them, whichever API made them.

Sources: Bedrock RFT contract, 1.3 and 8.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tuneward.jobs.spec import JobSpec
from tuneward.jobs.states import State
from tuneward.serve.bedrock.hyperparameters import reinforcement_parameters, supervised_parameters
from tuneward.serve.bedrock.names import Names
from tuneward.serve.bedrock.pages import timestamp, without_none
from tuneward.serve.bedrock.sources import data_of
from tuneward.store.tables import Job

Status = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]

STATUSES: dict[State, Status] = {
    "validating": "InProgress",
    "queued": "InProgress",
    "running": "InProgress",
    "pausing": "InProgress",
    "paused": "InProgress",
    "stopping": "Stopping",
    "succeeded": "Completed",
    "failed": "Failed",
    "cancelled": "Stopped",
    "stopped": "Stopped",
}

LONGEST_FAILURE = 2048

_PHASES = {
    "validation": "validationDetails",
    "data_processing": "dataProcessingDetails",
    "training": "trainingDetails",
}


def states_of(status: Status) -> frozenset[State]:
    """The states that a status stands for."""
    return frozenset(state for state, name in STATUSES.items() if name == status)


def job_details(job: Job, names: Names, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """A job as GetModelCustomizationJob answers it.

    Args:
        job: the job.
        names: of its project.
        metrics: `trainingMetrics` and `validationMetrics`, as far as there are any.
    """
    request = job.request if job.dialect == "bedrock" else {}
    return without_none(
        {
            "jobArn": names.job(job),
            "jobName": job.name,
            "outputModelName": output_name(job),
            "outputModelArn": names.tuned_by(job),
            "clientRequestToken": request.get("clientRequestToken"),
            "roleArn": request.get("roleArn", f"arn:aws:iam::{names.account_id}:role/tuneward"),
            "status": status_of(job),
            "statusDetails": status_details(job),
            "failureMessage": _failure(job),
            "creationTime": timestamp(job.created_at),
            "lastModifiedTime": timestamp(job.updated_at),
            "endTime": None if job.finished_at is None else timestamp(job.finished_at),
            "baseModelArn": names.base_of(job),
            **settings_of(job),
            "outputModelKmsKeyArn": request.get("customModelKmsKeyId"),
            "vpcConfig": request.get("vpcConfig"),
            **metrics,
        }
    )


def job_summary(job: Job, names: Names) -> dict[str, Any]:
    """A job as ListModelCustomizationJobs answers it."""
    return without_none(
        {
            "jobArn": names.job(job),
            "baseModelArn": names.base_of(job),
            "jobName": job.name,
            "status": status_of(job),
            "statusDetails": status_details(job),
            "lastModifiedTime": timestamp(job.updated_at),
            "creationTime": timestamp(job.created_at),
            "endTime": None if job.finished_at is None else timestamp(job.finished_at),
            "customModelArn": names.tuned_by(job),
            "customModelName": output_name(job),
            "customizationType": customization_type(job),
        }
    )


def settings_of(job: Job) -> dict[str, Any]:
    """What a job and the model that it makes have in common: data, method and hyperparameters, those that were not
    given included. An uploaded file has no address; the members for addresses are there all the same, and empty."""
    request = job.request if job.dialect == "bedrock" else {}
    data = data_of(JobSpec.model_validate(job.spec))
    settings = {
        "customizationType": customization_type(job),
        **{name: request.get(name, known) for name, known in data.items()},
    }
    config = job.spec["config"]
    if job.spec["method"] == "supervised":
        return {**settings, "hyperParameters": supervised_parameters(config) | request.get("hyperParameters", {})}
    given = request.get("customizationConfig", {}).get("rftConfig") or _grader(config)
    parameters = reinforcement_parameters(config) | given.get("hyperParameters", {})
    return {**settings, "customizationConfig": {"rftConfig": {**given, "hyperParameters": parameters}}}


def _grader(config: Mapping[str, Any]) -> dict[str, Any]:
    """The reward of a job that another API made, where it is a function with an ARN; there is no word for others."""
    function = (config.get("reward") or {}).get("function")
    if not isinstance(function, str) or not function.startswith("arn:"):
        return {}
    return {"graderConfig": {"lambdaGrader": {"lambdaArn": function}}}


def status_of(job: Job) -> Status:
    return STATUSES[job.state]


def customization_type(job: Job) -> str:
    return "FINE_TUNING" if job.spec["method"] == "supervised" else "REINFORCEMENT_FINE_TUNING"


def output_name(job: Job) -> str:
    """Name of the model that a job makes."""
    return job.spec.get("custom_name") or job.name


def status_details(job: Job) -> dict[str, Any]:
    """How far each phase is."""
    begun = [phase for phase in _PHASES if phase in job.phases]
    newest = begun[-1] if begun else "validation"
    details = {}
    for phase, name in _PHASES.items():
        times = job.phases.get(phase, {})
        status = _phase_status(job, phase == newest, times.get("started_at"), times.get("ended_at"))
        shown = {"status": status}
        if times.get("started_at"):
            shown["creationTime"] = timestamp(times["started_at"])
            shown["lastModifiedTime"] = timestamp(times.get("ended_at") or job.updated_at)
        details[name] = shown
    return details


def _phase_status(job: Job, is_newest: bool, started_at: float | None, ended_at: float | None) -> str:
    status = status_of(job)
    if status == "Failed" and is_newest:
        return "Failed"
    if started_at is None:
        return "NotStarted"
    if status in ("Stopping", "Stopped") and is_newest and (ended_at is None or "training" in job.phases):
        return status
    return "InProgress" if ended_at is None else "Completed"


def _failure(job: Job) -> str | None:
    if job.state != "failed":
        return None
    return str((job.error or {}).get("message", "The job failed."))[:LONGEST_FAILURE]
