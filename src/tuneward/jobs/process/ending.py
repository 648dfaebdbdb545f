"""How a job ends, or leaves its process: succeeded, paused, stopped, back in the queue, failed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.orm import Session

from tuneward.errors import DataError, DiskError
from tuneward.jobs.bedrock_output import output_files
from tuneward.jobs.grader_names import named_graders
from tuneward.jobs.journal import clean, tell
from tuneward.jobs.phases import end_phases
from tuneward.jobs.process.context import JobContext, JobFailedError
from tuneward.jobs.process.publishing import Publisher, finished
from tuneward.jobs.process.watching import JobWatcher
from tuneward.jobs.queue import give_back
from tuneward.jobs.result_csv import step_metrics_csv
from tuneward.jobs.service import enter
from tuneward.jobs.states import Action, State, after
from tuneward.runs.checkpoint import is_whole, newest_whole, step_of
from tuneward.runs.folder import RunFolder
from tuneward.runs.sinks import read_records
from tuneward.store.tables import Job

log = logging.getLogger(__name__)

UPLOAD_WAITS_S = (1.0, 5.0, 20.0, 60.0, 120.0)
"""Between tries to copy the results; the object store itself tries each call several times."""

YIELDS: dict[State, tuple[Action, str]] = {
    "pausing": (Action.YIELDED, "The job is paused"),
    "stopping": (Action.YIELDED, "The job was stopped"),
    "running": (Action.RELEASED, "The worker is shutting down; the job is queued again"),
}
"""State of a job whose process has saved and ended early → what happens, in words."""


def succeed(context: JobContext, publisher: Publisher, watcher: JobWatcher, run: RunFolder) -> None:
    """Training is done: model, result files, copies, state. Each part is skipped when an earlier sitting did it."""
    step = int(run.read_json(run.result)["adapter_step"])
    watcher.publish(step, run.adapter)
    publisher.model(step)
    _store_results(context, run)
    _copy_results(context, run)

    def end(session: Session, job: Job) -> None:
        assert after(job.state, Action.FINISHED) == "succeeded"
        end_phases(job)
        job.progress = {**job.progress, "estimated_finish": None}
        give_back(session, job)
        finished(session, job, publisher.model_name)

    context.journal.write(end)


def yield_job(context: JobContext, publisher: Publisher, watcher: JobWatcher, run: RunFolder) -> None:
    """The run was saved before its end, as the user or the worker wanted; the newest checkpoint becomes usable."""
    newest = newest_whole(run.checkpoints)
    if newest is not None and step_of(newest) > 0:
        watcher.publish(step_of(newest), newest / "adapter")
    while True:
        state: State = context.journal.write(lambda _session, job: job.state)
        if state == "stopping" and newest is not None and step_of(newest) > 0:
            best = _best(run, newest)
            watcher.publish(step_of(best), best / "adapter")
            publisher.model(step_of(best))
            _store_results(context, run)
            _copy_results(context, run)
        if context.journal.write(lambda session, job: _leave(session, job, state)):  # noqa: B023
            return


def fail(context: JobContext, failure: JobFailedError) -> None:
    """End a job for a reason that it can be told. Its checkpoints stay usable."""
    message = clean(failure.message)

    def end(session: Session, job: Job) -> None:
        job.error = {"code": failure.code, "message": message, "param": failure.param}
        job.progress = {**job.progress, "estimated_finish": None}
        end_phases(job)
        give_back(session, job)
        enter(session, job, "failed")
        tell(session, job, "failed", message, level="error", data={"code": failure.code})

    context.journal.write(end)


def _leave(session: Session, job: Job, state: State) -> bool:
    """Let go of a job; False when the user has changed his mind meanwhile."""
    if job.state != state:
        return False
    action, message = YIELDS[state]
    target = after(state, action)
    assert target is not None
    if target == "stopped":
        end_phases(job)
    job.progress = {**job.progress, "estimated_finish": None}
    give_back(session, job, was_asked=True)
    enter(session, job, target)
    tell(session, job, target, message, key=f"{target} {job.lease_token}")
    return True


def _best(run: RunFolder, newest: Path) -> Path:
    """The best checkpoint so far; the newest when none has beaten the base model."""
    step = json.loads((newest / "state.json").read_text())["progress"]["best_step"]
    best = run.checkpoints / f"step-{step:06d}"
    return best if step and is_whole(best) else newest


def _store_results(context: JobContext, run: RunFolder) -> None:
    """`step_metrics.csv`, once. Raises JobFailedError when the disk is full. Source: OpenAI RFT contract, 2.3."""
    if context.journal.write(lambda _session, job: list(job.result_files)) or not run.metrics.is_file():
        return
    spec = context.spec
    text = step_metrics_csv(read_records(run.metrics), spec.method, named_graders(spec.config.get("reward", {})))
    try:
        file = context.files.add(
            context.project_id, purpose="fine-tune-results", filename="step_metrics.csv", content=[text.encode()]
        )
    except DiskError as error:  # its model and checkpoints stay; another try would find the same disk
        raise JobFailedError("storage_failed", f"The table of results could not be kept. {error}") from None

    def remember(_session: Session, job: Job) -> None:
        job.result_files = [file.id]

    context.journal.write(remember)


def _copy_results(context: JobContext, run: RunFolder) -> None:
    """To where the job wants them. Raises JobFailedError; the model is there all the same."""
    prefix = context.spec.output_uri
    if prefix is None:
        return
    job = context.journal.write(lambda _session, job: job)
    for key, content in output_files(job, run.path).items():
        upload_patiently(context, content, f"{prefix.rstrip('/')}/{key}")


def upload_patiently(
    context: JobContext, content: Path | bytes, uri: str, waits_s: Sequence[float] = UPLOAD_WAITS_S
) -> None:
    """Copy a result, again and again while that fails. Raises JobFailedError in the end."""
    for wait_s in (*waits_s, None):
        try:
            context.objects.upload(content, uri)
            return
        except DataError as error:
            if wait_s is None:
                message = f"The model was made, but its results could not be copied: {error}"
                raise JobFailedError("output_not_writable", message, "output_data") from None
            context.journal.event(
                "output_retried", f"Results could not be copied yet: {error}", key=f"output_retried {uri}", level="warn"
            )
            log.warning("job %s: %s", context.job_id, error)
            time.sleep(wait_s)
