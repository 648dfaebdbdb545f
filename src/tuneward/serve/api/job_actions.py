"""`POST /api/jobs/{job_id}/pause`, `resume`, `stop`, `cancel`: steering a job."""

from __future__ import annotations

from fastapi import APIRouter

from tuneward.jobs.service import UserAction
from tuneward.jobs.states import Action
from tuneward.serve.api.job_detail import job_detail
from tuneward.serve.api.job_shapes import JobDetail
from tuneward.serve.deps import Developer, Use
from tuneward.serve.services import Services

routes = APIRouter(prefix="/api/jobs")


@routes.post("/{job_id}/pause")
def pause(job_id: str, caller: Developer, services: Use) -> JobDetail:
    """Finish the current step, keep its state and let others train."""
    return _act(services, caller.project_id, job_id, Action.PAUSE)


@routes.post("/{job_id}/resume")
def resume(job_id: str, caller: Developer, services: Use) -> JobDetail:
    """Go on with a paused job from its newest checkpoint."""
    return _act(services, caller.project_id, job_id, Action.RESUME)


@routes.post("/{job_id}/stop")
def stop(job_id: str, caller: Developer, services: Use) -> JobDetail:
    """End a job after the current step and keep what was learned: its best checkpoint becomes the tuned model.

    A job that does not run ends at once; its checkpoints stay.
    """
    return _act(services, caller.project_id, job_id, Action.STOP)


@routes.post("/{job_id}/cancel")
def cancel(job_id: str, caller: Developer, services: Use) -> JobDetail:
    """End a job at once. Its checkpoints stay; no tuned model is made."""
    return _act(services, caller.project_id, job_id, Action.CANCEL)


def _act(services: Services, project_id: str, job_id: str, action: UserAction) -> JobDetail:
    job = services.jobs.act(project_id, job_id, action)
    return job_detail(services, project_id, job.id)
