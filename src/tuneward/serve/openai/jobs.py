"""`/v1/fine_tuning/jobs`. Source: OpenAI RFT contract, section 3; Bedrock RFT contract, section 7."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request

from tuneward.jobs.problems import InvalidRequestError
from tuneward.jobs.service import JobQuery, UserAction
from tuneward.jobs.states import Action
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.serve.job_parts.repeats import create_once
from tuneward.serve.openai.job_body import job_bodies, job_body
from tuneward.serve.openai.job_events import checkpoint_body, event_bodies
from tuneward.serve.openai.job_request import CreateJob
from tuneward.serve.openai.job_spec import new_job
from tuneward.serve.services import Services
from tuneward.types import Json

routes = APIRouter(prefix="/fine_tuning/jobs")

Limit = Annotated[int, Query(ge=1, le=1000)]

_METADATA = re.compile(r"metadata\[(.*)\]", re.DOTALL)


@routes.post("")
def create(
    body: CreateJob,
    principal: Developer,
    services: Use,
    idempotency_key: Annotated[str | None, Header()] = None,
    x_stainless_retry_count: Annotated[str | None, Header()] = None,
) -> Json:
    """Create a job. What the client sends again, because an answer did not come, makes no second one."""
    count = x_stainless_retry_count or "0"
    is_repeat = count.isdecimal() and int(count[:9]) > 0
    job = create_once(
        body.sent,
        lambda token: new_job(body, services, principal.project_id, token=token),
        services,
        principal,
        kind="openai",
        key=idempotency_key,
        is_repeat=is_repeat,
    )
    return job_body(services, job)


@routes.get("")
def list_jobs(request: Request, principal: Viewer, services: Use, limit: Limit = 20, after: str | None = None) -> Json:
    """The project's jobs, newest first; `metadata[KEY]=VALUE` and `metadata=null` choose among them."""
    filters, without = _metadata(request.query_params.multi_items())
    query = JobQuery(limit=limit, after=after, metadata=filters, without_metadata=without)
    page = services.jobs.list(principal.project_id, query)
    return {"object": "list", "data": job_bodies(services, page.items), "has_more": page.has_more}


@routes.get("/{job_id}")
def retrieve(job_id: str, principal: Viewer, services: Use) -> Json:
    """One job."""
    return job_body(services, services.jobs.get(principal.project_id, job_id))


@routes.post("/{job_id}/cancel")
def cancel(job_id: str, principal: Developer, services: Use) -> Json:
    """End a job; its checkpoints stay."""
    return _act(services, principal.project_id, job_id, Action.CANCEL)


@routes.post("/{job_id}/pause")
def pause(job_id: str, principal: Developer, services: Use) -> Json:
    """Finish the step, keep its state and let others train."""
    return _act(services, principal.project_id, job_id, Action.PAUSE)


@routes.post("/{job_id}/resume")
def resume(job_id: str, principal: Developer, services: Use) -> Json:
    """Go on with a paused job from its newest checkpoint."""
    return _act(services, principal.project_id, job_id, Action.RESUME)


@routes.get("/{job_id}/events")
def events(job_id: str, principal: Viewer, services: Use, limit: Limit = 20, after: str | None = None) -> Json:
    """What happened in a job, newest first."""
    job = services.jobs.get(principal.project_id, job_id)
    page = services.jobs.events(principal.project_id, job.id, limit=limit, after_id=after)
    return {"object": "list", "data": event_bodies(services, job, page.items), "has_more": page.has_more}


@routes.get("/{job_id}/checkpoints")
def checkpoints(job_id: str, principal: Viewer, services: Use, limit: Limit = 10, after: str | None = None) -> Json:
    """States of the adapter that can be called as models, newest first."""
    job = services.jobs.get(principal.project_id, job_id)
    page = services.jobs.checkpoints(principal.project_id, job.id, limit=limit, after_id=after)
    found = [checkpoint_body(job, checkpoint) for checkpoint in page.items]
    return {
        "object": "list",
        "data": found,
        "first_id": found[0]["id"] if found else None,
        "last_id": found[-1]["id"] if found else None,
        "has_more": page.has_more,
    }


def _act(services: Services, project_id: str, job_id: str, action: UserAction) -> Json:
    return job_body(services, services.jobs.act(project_id, job_id, action))


def _metadata(pairs: Sequence[tuple[str, str]]) -> tuple[dict[str, str], bool]:
    """Pairs that jobs must have, and whether they must have none at all. Raises InvalidRequestError."""
    filters: dict[str, str] = {}
    without = False
    for name, value in pairs:
        if name == "metadata":
            if value != "null":
                message = "metadata is null or a filter of the form metadata[KEY]=VALUE."
                raise InvalidRequestError(message, param="metadata", code="invalid_value")
            without = True
        elif found := _METADATA.fullmatch(name):
            if not (found[1] and f"{found[1]}{value}".isprintable()) or '"' in found[1] or "\\" in found[1]:
                message = (
                    "Jobs cannot be chosen by keys with quotes or backslashes, or by texts that are not printable."
                )
                raise InvalidRequestError(message, param="metadata", code="invalid_value")
            filters[found[1]] = value
    return filters, without
