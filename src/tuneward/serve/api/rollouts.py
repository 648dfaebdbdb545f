"""`/api/jobs/{job_id}/rollouts`: what a job sampled in each step, how it was scored, and what it learned from it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query

from tuneward.accounts.principal import Principal
from tuneward.errors import RunError
from tuneward.jobs.places import job_home
from tuneward.jobs.problems import ConflictError, ObjectNotFoundError
from tuneward.runs.folder import RunFolder
from tuneward.runs.rollout_reader import LARGEST, GroupQuery, Only, RolloutReader, Sort
from tuneward.serve.api.rollout_shapes import Group, History, RolloutPage, RolloutStep, RolloutSteps
from tuneward.serve.deps import Use, Viewer
from tuneward.serve.services import Services

routes = APIRouter(prefix="/api/jobs/{job_id}/rollouts", tags=["console"])

T = TypeVar("T")
_log = logging.getLogger(__name__)

Step = Annotated[int, Query(ge=0, le=LARGEST)]
RowId = Annotated[str, Query(max_length=1000, description="Id of a row.")]
Passed = Annotated[int, Query(ge=0, le=LARGEST, description="`next` of the page before.")]


@routes.get("/steps")
def steps(
    job_id: str, principal: Viewer, services: Use, limit: Annotated[int, Query(ge=2, le=2000)] = 500
) -> RolloutSteps:
    """The steps whose rollouts can be read; of a long run evenly chosen ones."""
    run = run_of(job_id, principal, services)
    found, count = readable(lambda: RolloutReader(run.rollouts).steps(most=limit))
    return RolloutSteps(data=[RolloutStep.model_validate(one) for one in found], count=count)


@routes.get("")
def groups(
    job_id: str,
    principal: Viewer,
    services: Use,
    step: Annotated[int | None, Query(ge=0, le=LARGEST, description="The newest one if absent.")] = None,
    after: Passed = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    sort: Annotated[Sort, Query(description="`reward` and `spread` begin with the highest.")] = "line",
    search: Annotated[
        str | None, Query(max_length=200, description="In prompts, completions and row ids, whatever the case.")
    ] = None,
    only: Annotated[
        Only | None, Query(description="Groups with differing rewards, without, and with samples …")
    ] = None,
) -> RolloutPage:
    """The groups of a step: for each prompt how its samples were rewarded."""
    run = run_of(job_id, principal, services)
    reader = RolloutReader(run.rollouts)
    chosen = readable(lambda: reader.step(step))
    if chosen is None:
        if step is not None:
            raise ObjectNotFoundError(f"This job has no rollouts of step {step}.", param="step")
        return RolloutPage(step=None, data=[], next=None)
    query = GroupQuery(chosen["step"], sort, only, search, after, limit)
    found, has_more = readable(lambda: reader.groups(query))
    page = {"step": chosen, "data": found, "next": after + len(found) if has_more else None}
    return RolloutPage.model_validate(page)


@routes.get("/group")
def group(
    job_id: str,
    principal: Viewer,
    services: Use,
    step: Step,
    row: RowId,
    after: Passed = 0,
    limit: Annotated[int, Query(ge=1, le=64)] = 16,
    tokens: Annotated[bool, Query(description="With each sample's tokens and their log-probs.")] = False,
) -> Group:
    """A group whole: the prompt, and its samples page by page."""
    run = run_of(job_id, principal, services)
    reader = RolloutReader(run.rollouts)
    found = readable(lambda: reader.group(step, row, after=after, limit=limit, with_tokens=tokens))
    if found is None:
        raise ObjectNotFoundError(f"This job has no rollouts of this row in step {step}.", param="row")
    return Group.model_validate(found | {"next": after + len(found["data"]) if found["has_more"] else None})


@routes.get("/history")
def history(
    job_id: str,
    principal: Viewer,
    services: Use,
    row: RowId,
    after: Annotated[int, Query(ge=-1, le=LARGEST, description="`next` of the page before.")] = -1,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> History:
    """How one prompt was answered from step to step; step 0 is the base model."""
    run = run_of(job_id, principal, services)
    found, has_more = readable(lambda: RolloutReader(run.rollouts).history(row, after=after, limit=limit))
    return History.model_validate({"data": found, "next": found[-1]["step"] if has_more else None})


def run_of(job_id: str, principal: Principal, services: Services) -> RunFolder:
    """The run folder of the caller's job, which need not exist yet. Raises ObjectNotFoundError."""
    job = services.jobs.get(principal.project_id, job_id)
    return RunFolder(job_home(services.home, job.project_id, job.id) / "run")


def readable(read: Callable[[], T]) -> T:
    """What is read of a run. Raises ConflictError where a file is damaged; its path is the operator's to know."""
    try:
        return read()
    except RunError as error:
        _log.warning("%s", error)
        raise ConflictError(
            "A file of this job's run cannot be read just now; the server's log says why.", code="run_unreadable"
        ) from None
