"""Events and checkpoints as they are read back. Source: OpenAI RFT contract, 3.7 and 3.8; Bedrock RFT contract, 6.3.

A step and the evaluation after it are two records here and one metrics event there. So the event of a step has the
numbers of its evaluation as soon as there are any, and the evaluation has an event of type `message` of its own, for
those who only look at what is new. The evaluation of the base model is the metrics event of step 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from tuneward.jobs.grader_names import NamedGrader, named_graders
from tuneward.jobs.spec import JobSpec
from tuneward.serve.openai.job_metrics import Method, checkpoint_data, step_data, step_message
from tuneward.serve.services import Services
from tuneward.store.tables import Checkpoint, Job, JobEvent
from tuneward.types import Json


def event_bodies(services: Services, job: Job, events: Sequence[JobEvent]) -> list[dict[str, Json]]:
    """Bodies of a job's events, in their order."""
    evaluations = _evaluations_after(services, job, events)
    teller = _Teller(job)
    return [teller.body(event, evaluations) for event in events]


def checkpoint_body(job: Job, checkpoint: Checkpoint) -> dict[str, Json]:
    """The body of a checkpoint."""
    method: Method = job.spec["method"]
    train, valid = checkpoint.metrics.get("train") or {}, checkpoint.metrics.get("validation") or {}
    return {
        "object": "fine_tuning.job.checkpoint",
        "id": checkpoint.id,
        "created_at": int(checkpoint.created_at),
        "fine_tuning_job_id": f"ftjob-{job.id}",
        "fine_tuned_model_checkpoint": checkpoint.model_name,
        "step_number": checkpoint.step,
        "metrics": checkpoint_data(method, train, valid, step=checkpoint.step),
    }


class _Teller:
    """Tells the events of one job."""

    def __init__(self, job: Job):
        spec = JobSpec.model_validate(job.spec)
        self._method: Method = spec.method
        self._graders: Sequence[NamedGrader] = named_graders(spec.config.get("reward", {}))
        self._total_steps = job.progress.get("total_steps")
        self._eval_samples = spec.config.get("evaluation", {}).get("samples_per_prompt", 1)

    def body(self, event: JobEvent, evaluations: Mapping[int, Json]) -> dict[str, Json]:
        kind, message, data = "message", event.message, event.data
        if event.type == "metrics" and event.code in ("step", "evaluation"):
            step = event.data["step"]
            train = event.data if event.code == "step" else {}
            valid = event.data if event.code == "evaluation" else evaluations.get(step, {})
            data = step_data(
                self._method,
                train,
                valid,
                step=step,
                total_steps=self._total_steps,
                graders=self._graders,
                eval_samples=self._eval_samples,
            )
            message = step_message(self._method, data)
            if event.code == "step" or step == 0:
                kind = "metrics"
            else:
                message = f"Evaluation after {message[:1].lower()}{message[1:]}"
        elif event.type == "metrics":
            message = event.message or str(event.data.get("message") or f"{event.code}".capitalize())
        return {
            "object": "fine_tuning.job.event",
            "id": event.id,
            "created_at": int(event.created_at),
            "level": event.level,
            "type": kind,
            "message": message,
            "data": data,
        }


def _evaluations_after(services: Services, job: Job, events: Sequence[JobEvent]) -> dict[int, Json]:
    """Step → record of its evaluation, for the steps among some events."""
    steps = [event for event in events if event.code == "step"]
    if not steps:
        return {}
    query = (
        select(JobEvent.data)
        .where(
            JobEvent.job_id == job.id,
            JobEvent.type == "metrics",
            JobEvent.code == "evaluation",
            JobEvent.seq > min(event.seq for event in steps),
        )
        .order_by(JobEvent.seq)
        .limit(len(steps) + 1)  # at most one after each step
    )
    found = services.database.read(lambda session: session.scalars(query).all())
    return {record["step"]: record for record in found}
