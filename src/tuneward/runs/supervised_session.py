"""One sitting of a supervised run: steps, evaluations, early stopping and checkpoints."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tuneward.config import SupervisedConfig
from tuneward.errors import TrainingError
from tuneward.points import reached
from tuneward.records import Record
from tuneward.rl.policy import Policy
from tuneward.rl.schedule import PromptSchedule
from tuneward.rl.supervised import Lesson, Losses, SupervisedStep, measure_losses, supervised_step
from tuneward.runs import checkpoint as checkpoints
from tuneward.runs.eta import time_left
from tuneward.runs.folder import RunFolder
from tuneward.runs.lessons import Lessons
from tuneward.runs.sinks import MetricSink


@dataclass(frozen=True, slots=True)
class SupervisedPlan:
    """Numbers fixed when a run starts; a resumed run uses the same ones."""

    total_steps: int
    evaluate_every: int
    token_budget: int
    """Distinct tokens per micro-batch."""
    threads: int
    peak_memory_bytes: int
    """Predicted for the longest conversations."""


@dataclass(slots=True)
class SupervisedProgress:
    """Where a run stands; part of every checkpoint."""

    step: int = 0
    base_loss: float | None = None
    """Validation loss before training."""
    best_loss: float | None = None
    best_step: int = 0
    evaluations_without_gain: int = 0
    non_finite_in_a_row: int = 0
    seconds_trained: float = 0.0


class SupervisedWatcher(Protocol):
    """Who looks on while a run goes."""

    def prepared(self, run: RunFolder, config: SupervisedConfig, lessons: Lessons, plan: SupervisedPlan) -> None:
        """Everything is loaded."""
        ...

    def write(self, record: Record) -> None:
        """A record was written."""
        ...

    def saved(self, step: int, checkpoint: Path) -> None:
        """See `tuneward.runs.session.Watcher.saved`."""
        ...


@dataclass
class SupervisedSession:
    """One sitting of a run."""

    run: RunFolder
    config: SupervisedConfig
    plan: SupervisedPlan
    lessons: Lessons
    schedule: PromptSchedule[Lesson]
    policy: Policy
    sinks: list[MetricSink]
    watcher: SupervisedWatcher
    progress: SupervisedProgress = dataclasses.field(default_factory=SupervisedProgress)
    step_seconds: list[float] = dataclasses.field(default_factory=list)

    def begin(self) -> None:
        """Measure the model as it is, and save step 0."""
        losses = self.evaluate(0)
        self.progress.base_loss = self.progress.best_loss = losses.loss
        self.save(0)

    def train(self, stop_requested: Callable[[], str | None]) -> str:
        """Run from `progress.step` to the end; returns why it ended, in words.

        Raises:
            TrainingError: non-finite numbers that would not go away.
        """
        progress, config = self.progress, self.config
        while progress.step < self.plan.total_steps:
            step = progress.step + 1
            result = supervised_step(
                self.policy, self.schedule.batch(step), step=step, token_budget=self.plan.token_budget
            )
            reached("step.updated")
            progress.step = step
            progress.seconds_trained += result.seconds
            self.step_seconds.append(result.seconds)
            self._write(self._step_record(result))
            reached("step.recorded")
            self._count_non_finite(result)
            reason, is_last = stop_requested(), step == self.plan.total_steps
            is_measured = step % self.plan.evaluate_every == 0 or is_last
            if is_measured:
                self._note(step, self.evaluate(step))
                reason = reason or self._reason_to_stop()
            if config.run.stop_at is not None and step >= config.run.stop_at:
                reason = reason or f"run.stop_at is {config.run.stop_at}"
            if reason or is_measured or step % config.run.checkpoint_every_steps == 0:
                self.save(step)
            if reason:
                return reason
        return f"all {self.plan.total_steps} steps are done"

    def evaluate(self, step: int) -> Losses:
        """Measure the loss on the validation conversations. Raises TrainingError when it is not a number."""
        losses = measure_losses(self.policy.packed, self.lessons.validation, self.plan.token_budget)
        if not math.isfinite(losses.loss):
            raise TrainingError(f"The validation loss at step {step} is {losses.loss}; lower training.learning_rate.")
        rows = len(self.lessons.validation)
        self._write({"kind": "evaluation", "step": step, "rows": rows, **_numbers(losses)})
        return losses

    def save(self, step: int) -> None:
        """Write a checkpoint of the state after this step."""
        folder = self.run.checkpoints
        state = {"progress": dataclasses.asdict(self.progress), "step_seconds": self.step_seconds}
        saved = checkpoints.save_checkpoint(folder, step, self.policy, state)
        if step and step == self.progress.best_step:
            checkpoints.point_to_best(folder, step)
        checkpoints.prune(folder, keep=self.config.run.keep_checkpoints, best_step=self.progress.best_step)
        self.watcher.saved(step, saved)

    def restore(self) -> bool:
        """Go to the newest whole checkpoint; False when there is none."""
        newest = checkpoints.newest_whole(self.run.checkpoints)
        if newest is None:
            return False
        state = checkpoints.load_checkpoint(newest, self.policy)
        self.progress = SupervisedProgress(**state["progress"])
        self.step_seconds = state["step_seconds"]
        return True

    def event(self, code: str, message: str) -> None:
        self._write({"kind": "event", "step": self.progress.step, "code": code, "message": message})

    def result(self, reason: str, chosen: Path, total_seconds: float, *, is_complete: bool) -> dict[str, Any]:
        """What `result.json` holds."""
        progress = self.progress
        base, best = progress.base_loss, progress.best_loss
        fell = progress.best_step > 0 and base is not None and best is not None
        verdict = (
            f"validation loss {base:.3f} → {best:.3f} nats per token at step {progress.best_step}"
            if fell
            else "validation loss did not fall; the adapter is the newest one"
        )
        return {
            "run": self.run.name,
            "method": "supervised",
            "model": self.config.model,
            "base": {"loss": base},
            "tuned": {"loss": best} if fell else None,
            "verdict": verdict,
            "steps": progress.step,
            "best_step": progress.best_step,
            "adapter_step": checkpoints.step_of(chosen),
            "stopped_because": reason,
            "is_complete": is_complete,
            "train_seconds": round(progress.seconds_trained, 3),
            "total_seconds": round(total_seconds, 3),
        }

    def _note(self, step: int, losses: Losses) -> None:
        """Take in a validation loss."""
        progress = self.progress
        if progress.best_loss is None or losses.loss < progress.best_loss - self.config.evaluation.min_improvement:
            progress.best_loss, progress.best_step, progress.evaluations_without_gain = losses.loss, step, 0
        else:
            progress.evaluations_without_gain += 1

    def _reason_to_stop(self) -> str | None:
        progress, evaluation = self.progress, self.config.evaluation
        if not evaluation.early_stopping or progress.evaluations_without_gain < evaluation.patience:
            return None
        return (
            f"validation loss has not fallen for {progress.evaluations_without_gain} evaluations; the best was "
            f"{progress.best_loss:.3f} at step {progress.best_step}"
        )

    def _count_non_finite(self, result: SupervisedStep) -> None:
        if result.skipped is None:
            self.progress.non_finite_in_a_row = 0
            return
        self.progress.non_finite_in_a_row += 1
        self.event("skipped_update", f"step {self.progress.step} was skipped: {result.skipped}")
        if self.progress.non_finite_in_a_row >= self.config.training.max_skipped_updates:
            raise TrainingError(
                f"{result.skipped}, {self.progress.non_finite_in_a_row} times in a row. Lower training.learning_rate "
                "(a tenth is a good first try) and resume from an earlier checkpoint."
            )

    def _step_record(self, result: SupervisedStep) -> Record:
        steps = self.plan.total_steps - self.progress.step
        record = {
            "kind": "step",
            "step": self.progress.step,
            "epoch": self.schedule.epoch(self.progress.step),
            **_numbers(result.losses),
            "grad_norm": result.grad_norm,
            "learning_rate": result.learning_rate,
            "prompt_tokens": result.prompt_tokens,
            "trained_tokens": result.losses.tokens,
            "timing": {"seconds_step": result.seconds, **time_left(self.step_seconds, [], steps, 0)},
        }
        return {name: value for name, value in record.items() if not _is_not_finite(value)}

    def _write(self, record: Record) -> None:
        for sink in self.sinks:
            sink.write(record)
        self.watcher.write(record)


def _numbers(losses: Losses) -> Record:
    return {"loss": losses.loss, "token_accuracy": losses.token_accuracy}


def _is_not_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
