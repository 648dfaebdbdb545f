"""Training: from the queue to the model, in as many sittings as it takes."""

from __future__ import annotations

import shutil
import time

from sqlalchemy.orm import Session

from tuneward.config import SupervisedConfig
from tuneward.jobs.inputs import fetch, inputs_of
from tuneward.jobs.journal import tell
from tuneward.jobs.phases import begin_phase
from tuneward.jobs.process.configure import build_config
from tuneward.jobs.process.context import AskedToEndError, JobContext
from tuneward.jobs.process.ending import succeed, yield_job
from tuneward.jobs.process.publishing import Publisher
from tuneward.jobs.process.watching import JobWatcher
from tuneward.jobs.service import enter
from tuneward.jobs.states import Action, after
from tuneward.runs.folder import RunFolder
from tuneward.runs.train import resume_run, start_run
from tuneward.store.tables import Job

BUSY_S = 120.0
"""How long to wait for another process of the same job to end, as one does that has lost its worker."""


def train(context: JobContext) -> None:
    """Train a job to its end, or until it is asked to stop.

    Raises:
        TunewardError: what the job fails for.
        AskedToEndError, LeaseLostError, StoreError: the job stays as it is.
    """
    publisher = Publisher(context)
    watcher = JobWatcher(context, publisher)
    run = RunFolder(context.run_path)
    _wait_until_free(run)
    if not context.journal.write(_begin):  # pausing or stopping, and the process that was to do it has died
        watcher.recall(run)
        yield_job(context, publisher, watcher, run)
        return
    context.stop_if_asked()
    if _is_complete(run):  # by a process that died afterwards
        watcher.recall(run)
    else:
        run = _sit(context, watcher, run)
    if _is_complete(run):
        succeed(context, publisher, watcher, run)
    else:
        yield_job(context, publisher, watcher, run)


def _begin(session: Session, job: Job) -> bool:
    """Enter `running`; False when the job is to yield instead."""
    if job.state in ("pausing", "stopping"):
        return False
    if job.state == "queued":
        state = after("queued", Action.STARTED)
        assert state is not None
        enter(session, job, state)
    else:
        message = "The process that worked on the job has ended; another one goes on from the newest checkpoint"
        tell(session, job, "taken_over", message, key=f"taken_over {job.lease_token}", level="warn")
    job.started_at = job.started_at or time.time()
    begin_phase(job, "data_processing")
    tell(session, job, "started", "Fine-tuning job started")
    return True


def _sit(context: JobContext, watcher: JobWatcher, run: RunFolder) -> RunFolder:
    """One sitting: start, or go on from the newest whole checkpoint."""
    if run.manifest.is_file():
        if context.spec.method == "supervised":
            from tuneward.runs.supervised import resume_supervised

            return resume_supervised(run.name, run.path.parent, watcher)
        return resume_run(run.name, run.path.parent, watcher)
    shutil.rmtree(run.path, ignore_errors=True)  # cut short before it was a run
    folder = context.home / "inputs"
    inputs = inputs_of(context.spec, folder)
    if not inputs.are_there:
        inputs = fetch(
            context.spec, folder, project_id=context.project_id, files=context.files, objects=context.objects
        )
    config = build_config(context, inputs)
    if isinstance(config, SupervisedConfig):
        from tuneward.runs.supervised import start_supervised

        return start_supervised(config, watcher)
    # Validation has made it; the calls of a judge cost money.
    reward = config.reward.model_copy(update={"check": False})
    return start_run(config.model_copy(update={"reward": reward}), watcher)


def _is_complete(run: RunFolder) -> bool:
    return run.result.is_file() and bool(run.read_json(run.result).get("is_complete"))


def _wait_until_free(run: RunFolder) -> None:
    give_up_at = time.monotonic() + BUSY_S
    while run.path.is_dir() and run.is_locked:
        if time.monotonic() > give_up_at:
            raise AskedToEndError(f"{run.path}: another process still works on it")
        time.sleep(0.2)
