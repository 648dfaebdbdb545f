"""Adapters that can be served: the checkpoints of a job, and the model that it ends with."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.jobs.journal import Afterwards, tell
from tuneward.jobs.process.context import JobContext, without_timing
from tuneward.jobs.service import enter
from tuneward.records import Record
from tuneward.runs.checkpoint import is_whole
from tuneward.runs.finish import export_adapter
from tuneward.store.ids import new_id
from tuneward.store.tables import Checkpoint, CheckpointPermission, Job, Model

log = logging.getLogger(__name__)

KEPT = 3
"""Checkpoints kept besides the newest. Source: OpenAI RFT contract, 3.8."""


class Publisher:
    """Copies adapters into the job's folder, whole or not at all, and tells the store of them."""

    def __init__(self, context: JobContext):
        self._context = context
        spec, organization = context.spec, context.config.organization
        self.model_name = f"ft:{context.base_model().id}:{organization}:{spec.suffix or ''}:{context.job_id[:8]}"

    def folder(self, step: int) -> Path:
        """Where the adapter of a step lies once it is published."""
        return self._context.home / "adapters" / f"step-{step}"

    def published_steps(self) -> list[int]:
        """Steps whose adapter is there, ascending; the store may not know of the newest ones yet."""
        found = self._context.home.glob("adapters/step-*")
        return sorted(int(path.name.removeprefix("step-")) for path in found if is_whole(path))

    def checkpoint(self, step: int, adapter: Path, train: Record | None, validation: Record | None) -> None:
        """Publish an adapter as the checkpoint of a step; nothing happens when that has been done.

        Args:
            step: after which it stood.
            adapter: folder, which may be the published one itself.
            train: record of the step.
            validation: record of the evaluation after the step; None when there was none.

        Raises:
            RunError: the disk is full or not writable.
        """
        target = self.folder(step)
        if adapter != target and not is_whole(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            export_adapter(adapter, target)
        metrics = {"train": without_timing(train), "validation": without_timing(validation)}
        self._context.journal.add(lambda session, job: self._store(session, job, step, metrics))

    def model(self, step: int) -> None:
        """Make the published adapter of a step the job's model; the first call counts."""
        self._context.journal.write(lambda session, job: self._make_model(session, job, step))

    def _store(self, session: Session, job: Job, step: int, metrics: dict[str, Any]) -> Afterwards | None:
        known = select(Checkpoint.id).where(Checkpoint.job_id == job.id, Checkpoint.step == step)
        if session.scalar(known) is None:
            session.add(
                Checkpoint(
                    id=new_id("ftckpt_", length=24),
                    job_id=job.id,
                    project_id=job.project_id,
                    step=step,
                    model_name=f"{self.model_name}:ckpt-step-{step}",
                    adapter=self._context.relative(self.folder(step)),
                    metrics=metrics,
                    created_at=time.time(),
                )
            )
            session.flush()
            tell(session, job, "checkpoint", f"Checkpoint created at step {step}", key=f"checkpoint {step}",
                 data={"step": step})  # fmt: skip
        folders = [self._context.server_home / adapter for adapter in _drop_old(session, job)]
        return (lambda: _delete(folders)) if folders else None

    def _make_model(self, session: Session, job: Job, step: int) -> None:
        if session.scalar(select(Model.id).where(Model.name == self.model_name)) is not None:
            return
        custom = self._context.spec.custom_name or self.model_name
        taken = select(Model.id).where(Model.project_id == job.project_id, Model.custom_name == custom)
        if session.scalar(taken) is not None:
            message = f'A model named "{custom}" has been made meanwhile; this one is called {custom}-{job.id}.'
            tell(session, job, "name_taken", message, level="warn")
            custom = f"{custom}-{job.id}"
        adapter = self._context.relative(self.folder(step))
        deployed = session.scalar(select(Model).where(Model.project_id == job.project_id, Model.adapter == adapter))
        if deployed is not None:
            # Two models of one folder would be deleted together. Its checkpoint still answers to the old name.
            deployed.name, deployed.custom_name = self.model_name, custom
            session.flush()
            tell(session, job, "model", f"New fine-tuned model created: {self.model_name}")
            return
        session.add(
            Model(
                id=new_id(),
                project_id=job.project_id,
                job_id=job.id,
                name=self.model_name,
                custom_name=custom,
                base_model=self._context.spec.base_model,
                step=step,
                adapter=adapter,
                created_at=time.time(),
            )
        )
        session.flush()
        tell(session, job, "model", f"New fine-tuned model created: {self.model_name}")


def _drop_old(session: Session, job: Job) -> list[str]:
    """Forget checkpoints that are neither among the best nor the newest, nor used by anybody; returns their folders."""
    found = list(session.scalars(select(Checkpoint).where(Checkpoint.job_id == job.id).order_by(Checkpoint.step)))
    models = set(session.scalars(select(Model.adapter).where(Model.project_id == job.project_id)))
    shared = set(
        session.scalars(
            select(CheckpointPermission.checkpoint_id).where(
                CheckpointPermission.checkpoint_id.in_([checkpoint.id for checkpoint in found])
            )
        )
    )
    kept = {checkpoint.step for checkpoint in (*_best(found, job), *found[-1:])}
    dropped = [
        checkpoint
        for checkpoint in found
        if checkpoint.step not in kept and checkpoint.adapter not in models and checkpoint.id not in shared
    ]
    for checkpoint in dropped:
        session.delete(checkpoint)
    session.flush()
    return [checkpoint.adapter for checkpoint in dropped]


def _best(found: list[Checkpoint], job: Job) -> list[Checkpoint]:
    """By validation reward; of supervised jobs the latest."""
    measured = [checkpoint for checkpoint in found if checkpoint.metrics["validation"]]
    if job.spec["method"] == "supervised":
        return measured[-KEPT:]
    return sorted(measured, key=lambda checkpoint: -checkpoint.metrics["validation"].get("reward_mean", 0.0))[:KEPT]


def _delete(folders: list[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def finished(session: Session, job: Job, model_name: str) -> None:
    """The job has succeeded with its model."""
    job.model_id = session.scalar(select(Model.id).where(Model.name == model_name))
    enter(session, job, "succeeded")
    tell(session, job, "succeeded", "The job has successfully completed")
