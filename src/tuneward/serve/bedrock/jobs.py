"""Customization jobs. Source: Bedrock RFT contract, 8.1."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from tuneward.jobs.arns import id_in_arn
from tuneward.jobs.models import Mark
from tuneward.jobs.service import JobQuery
from tuneward.jobs.states import Action
from tuneward.jobs.tags import tag_key
from tuneward.serve.bedrock.constraints import JobIdentifier
from tuneward.serve.bedrock.jobs_answer import Status, job_details, job_summary, states_of
from tuneward.serve.bedrock.jobs_create import create_job
from tuneward.serve.bedrock.jobs_metrics import metrics_of
from tuneward.serve.bedrock.jobs_request import CreateJob
from tuneward.serve.bedrock.names import names_for
from tuneward.serve.bedrock.pages import ListQuery, page, seconds
from tuneward.serve.bedrock.tags import set_tags
from tuneward.serve.bedrock.validation import AwsRoute
from tuneward.serve.deps import Developer, Use, Viewer

routes = APIRouter(prefix="/model-customization-jobs", route_class=AwsRoute, tags=["bedrock"])

JobLabel = Annotated[JobIdentifier, Path(alias="jobIdentifier")]


class ListJobsQuery(ListQuery):
    creation_time_after: datetime | None = None
    creation_time_before: datetime | None = None
    status_equals: Status | None = None


@routes.post("", status_code=201)
def create(asked: CreateJob, services: Use, caller: Developer) -> dict[str, str]:
    """CreateModelCustomizationJob."""
    job = create_job(services, caller, asked)
    # Also when the job was there already: the first try may have ended between the two.
    set_tags(services.database, tag_key("model-customization-job", job.id), asked.job_tags)
    set_tags(services.database, tag_key("model-of-job", job.id), asked.custom_model_tags)
    return {"jobArn": names_for(services, caller).job(job)}


@routes.get("")
def list_jobs(query: Annotated[ListJobsQuery, Query()], services: Use, caller: Viewer) -> dict[str, Any]:
    """ListModelCustomizationJobs."""
    wanted = JobQuery(
        limit=query.max_results,
        after=query.after.id if query.after else None,
        states=states_of(query.status_equals) if query.status_equals else None,
        name_contains=query.name_contains,
        created_after=seconds(query.creation_time_after),
        created_before=seconds(query.creation_time_before),
        oldest_first=query.sort_order == "Ascending",
    )
    found = services.jobs.list(caller.project_id, wanted)
    names = names_for(services, caller)
    summaries = [job_summary(job, names) for job in found.items]
    return page("modelCustomizationJobSummaries", summaries, Mark.after(found))


@routes.get("/{jobIdentifier:label}")
def get(identifier: JobLabel, services: Use, caller: Viewer) -> dict[str, Any]:
    """GetModelCustomizationJob."""
    job = services.jobs.get(caller.project_id, _name(identifier))
    return job_details(job, names_for(services, caller), metrics_of(services.database, job))


@routes.post("/{jobIdentifier:label}/stop")
def stop(identifier: JobLabel, services: Use, caller: Developer) -> Response:
    """StopModelCustomizationJob. What was learned until then is kept as a model."""
    services.jobs.act(caller.project_id, _name(identifier), Action.STOP)
    return Response()


def _name(identifier: str) -> str:
    """Id or name of a job from what stands in the path."""
    return id_in_arn(identifier, "model-customization-job") or identifier
