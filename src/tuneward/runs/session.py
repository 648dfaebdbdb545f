"""One sitting of a run: what the training loop needs from around it, and the checks before it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tuneward.advise import Advisor, preflight_advice
from tuneward.config import Config
from tuneward.engine.engine import Engine
from tuneward.engine.record import ForwardRecord
from tuneward.engine.roofline import roofline_of
from tuneward.engine.sampler import SamplingParams
from tuneward.errors import TrainingError
from tuneward.evaluation.evaluate import Evaluation, evaluate
from tuneward.records import Record
from tuneward.rewards import FailurePolicy
from tuneward.rl.held_out import HeldOutWatch
from tuneward.rl.loop import training_loop
from tuneward.rl.policy import Policy
from tuneward.rl.prove import prove
from tuneward.rl.rollout import OnSample, Rollout, roll_out
from tuneward.rl.step import StepResult
from tuneward.rl.stopping import Progress
from tuneward.runs import checkpoint as checkpoints
from tuneward.runs.eta import time_left
from tuneward.runs.folder import RunFolder, write_atomically
from tuneward.runs.memory_check import MemoryCheck
from tuneward.runs.plan import Plan
from tuneward.runs.preflight import preflight_record
from tuneward.runs.prepare import Prompts, make_schedule
from tuneward.runs.reward_check import check_reward
from tuneward.runs.rollouts import RolloutKeeper
from tuneward.runs.sinks import MetricSink
from tuneward.types import Grader


class Watcher(Protocol):
    """Who looks on while a run goes: the terminal, usually."""

    def prepared(
        self, run: RunFolder, config: Config, prompts: Prompts, plan: Plan, rendered: str, stops: list[str]
    ) -> None:
        """Everything is loaded; `rendered` is one prompt as the model sees it, `stops` its stop set."""
        ...

    def write(self, record: Record) -> None:
        """A record was written."""
        ...

    def saved(self, step: int, checkpoint: Path) -> None:
        """A checkpoint of the state after this step is whole; it is deleted when newer ones have come."""
        ...


@dataclasses.dataclass
class Session:
    """One sitting of a run; implements the hooks of the training loop."""

    run: RunFolder
    config: Config
    plan: Plan
    memory: MemoryCheck
    prompts: Prompts
    engine: Engine
    policy: Policy
    grader: Grader
    held_out: Grader | None
    """Scores validation answers and some training answers too, only to be measured."""
    sinks: list[MetricSink]
    watcher: Watcher
    stop_requested: Callable[[], str | None]
    rollouts: RolloutKeeper | None = None
    """Writes down what is sampled, for people to read."""
    progress: Progress = dataclasses.field(default_factory=Progress)
    advisor: Advisor = dataclasses.field(default_factory=Advisor)
    failures: FailurePolicy = dataclasses.field(init=False)
    watch: HeldOutWatch | None = dataclasses.field(init=False)
    record: ForwardRecord | None = dataclasses.field(init=False)
    step_seconds: list[float] = dataclasses.field(default_factory=list)
    evaluation_seconds: list[float] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.failures = FailurePolicy(self.config.reward.on_failure, self.config.reward.error_budget)
        self.watch = HeldOutWatch(self.held_out) if self.held_out else None
        self.record = ForwardRecord(self.plan.record_tokens) if self.plan.record_tokens else None

    # Hooks of the loop

    def emit(self, record: Record) -> None:
        """See `Hooks.emit`."""
        if record["kind"] == "step":
            self.step_seconds.append(record["timing"]["seconds_step"])
            record["timing"] |= self._time_left(record["step"])
            if self.watch is not None:
                self.watch.add_to(record)
            self.memory.note(record)
        self._write(record)
        for advice in self.advisor.observe(record):
            warning = {"kind": "warning", "step": record["step"], "code": advice.code, "severity": advice.severity}
            self._write(warning | {"message": f"{advice.message} {advice.action}", "action": advice.action})

    def stepped(self, result: StepResult) -> None:
        """See `Hooks.stepped`."""
        if self.rollouts is not None:
            self.rollouts.keep(result.step, [result.rollout], result.signal.advantages.tolist())

    def evaluate(self, step: int, extra: dict[str, float]) -> tuple[float, float]:
        """See `Hooks.evaluate`."""
        evaluation = self.evaluate_now(step, extra)
        return evaluation.reward, evaluation.exact

    def save(self, step: int, *, is_best: bool) -> None:
        """See `Hooks.save`."""
        if is_best:
            message = f"best validation reward so far: {self.progress.best_reward:.3f}"
            self._write({"kind": "event", "step": step, "code": "new_best", "message": message})
        if self.rollouts is not None:
            self.rollouts.flush()
        folder = self.run.checkpoints
        saved = checkpoints.save_checkpoint(folder, step, self.policy, self._state())
        if is_best:
            checkpoints.point_to_best(folder, step)
        checkpoints.prune(folder, keep=self.config.run.keep_checkpoints, best_step=self.progress.best_step)
        self.watcher.saved(step, saved)

    def wants_stop(self) -> str | None:
        """See `Hooks.wants_stop`."""
        return self.stop_requested()

    # The parts around the loop

    def evaluate_now(self, step: int, extra: dict[str, float]) -> Evaluation:
        """Evaluate the policy, keep each row's answer, emit the record."""
        evaluation = evaluate(
            self.engine, self.grader, self.prompts.validation, self.config, step=step, held_out=self.held_out
        )
        self.failures.observe(list(evaluation.scores))
        if math.isnan(evaluation.reward):
            raise TrainingError(
                f"No validation answer could be scored at step {step}: {_first_failure(evaluation)} "
                f"Run `tuneward evaluate` once the reward function is mended, then resume."
            )
        lines = "".join(json.dumps(row.to_json(), ensure_ascii=False) + "\n" for row in evaluation.rows)
        write_atomically(self.run.evaluation(step), lines)
        self.evaluation_seconds.append(evaluation.record["timing"]["seconds"])
        self.emit(evaluation.record | {name: value for name, value in extra.items() if math.isfinite(value)})
        return evaluation

    def before_training(self) -> Rollout | None:
        """Evaluate the base model, look for signal, and save step 0; returns step 1's rollout, already made.

        Raises:
            GraderError: the reward cannot be trained on, see `check_reward`.
            TrainingError: no group has differing rewards, unless the configuration says to go on.
        """
        if self.config.reward.check:
            rows = [prompt.row for prompt in self.prompts.train]
            check_reward(self.grader, rows, self.config.reward, self._write)
        if self.rollouts is not None:
            self.rollouts.keep_prompts(self.prompts.validation[: self.config.evaluation.max_rows], "validation")
        base = self.evaluate_now(0, {})
        self.progress.note_evaluation(0, base.reward, self.config.evaluation)
        rollout = self._preflight(base)
        self.save(0, is_best=False)
        return rollout

    def _preflight(self, base: Evaluation) -> Rollout | None:
        schedule, training = make_schedule(self.config, self.prompts), self.config.training
        chosen: list[Rollout] = []
        seen, step = 0, 1
        while seen < self.config.evaluation.preflight_prompts and step <= min(
            schedule.steps_per_epoch, self.plan.total_steps
        ):
            # The same prompts and seeds as the training step, so step 1 gets its rollout for free.
            params = SamplingParams(training.max_completion_tokens, temperature=training.temperature)
            chosen.append(
                roll_out(
                    self.engine, self.grader, schedule.batch(step), training.samples_per_prompt, params,
                    run_seed=self.config.run.seed, step=step,
                    # only step 1's is trained on
                    record=None if chosen else self.record, on_sample=None if chosen else self._on_sample,
                )
            )  # fmt: skip
            seen += len(chosen[-1].groups)
            step += 1
        if self.rollouts is not None and chosen:
            self.rollouts.keep(0, chosen)
        record = preflight_record(chosen, base)
        self._write(record)
        for advice in preflight_advice(**{key: value for key, value in record.items() if key not in ("kind", "step")}):
            warning = {"kind": "warning", "step": 0, "code": advice.code, "severity": advice.severity}
            self._write(warning | {"message": f"{advice.message} {advice.action}", "action": advice.action})
        if record["mixed_groups_share"] == 0 and not self.config.evaluation.allow_no_signal:
            raise TrainingError(
                f"None of {seen} groups has completions with differing rewards (mean reward "
                f"{record['reward_mean']:.3f}), so there is nothing to learn from. Give partial credit in the reward, "
                "use easier prompts, or fine-tune with examples first; evaluation.allow_no_signal=true goes on anyway."
            )
        return chosen[0] if chosen else None

    def prove(self, rollout: Rollout | None) -> None:
        """Compare the engine with one sequence at a time on a rollout, and say how far they are apart."""
        proof = prove(self.policy, rollout, self.config.training, self.plan.token_budget) if rollout else None
        if proof is None:
            self.event("proved", "nothing to compare: the first step has no group with differing rewards")
            return
        timing = {"seconds_fast": proof.seconds_fast, "seconds_naive": proof.seconds_naive}
        self._write({"kind": "event", "step": 0, "code": "proved", "message": proof.sentence, "timing": timing})

    def train(self, first_rollout: Rollout | None) -> str:
        """Run the loop; returns why it ended."""
        return training_loop(
            self.policy,
            self.engine,
            self.grader,
            self.failures,
            make_schedule(self.config, self.prompts),
            self.config,
            self.progress,
            self,
            total_steps=self.plan.total_steps,
            evaluate_every=self.plan.evaluate_every,
            token_budget=self.plan.token_budget,
            record=self.record,
            # A server's machine is not this one, so this one's bound says nothing of its sampling.
            roofline=roofline_of(self.policy.model) if self.config.rollout.engine == "torch" else None,
            first_rollout=first_rollout,
            on_sample=self._on_sample,
        )

    def check_memory(self) -> None:
        """Warn when the measured peak is not what was predicted for the lengths that have occurred."""
        message = self.memory.warning()
        if message is not None:
            # What was measured differs from sitting to sitting, as what depends on the clock does.
            record = {"kind": "warning", "step": self.progress.step, "code": "memory_prediction", "severity": "info"}
            self._write(record | {"message": message, "timing": self.memory.to_json()})

    def restore(self) -> bool:
        """Go to the newest whole checkpoint; False when there is none. Later records are removed."""
        newest = checkpoints.newest_whole(self.run.checkpoints)
        if newest is None:
            return False
        state = checkpoints.load_checkpoint(newest, self.policy)
        self.progress = Progress(**state["progress"])
        self.advisor.load_state_dict(state["advisor"])
        self.failures.load_state_dict(state["failures"])
        self.step_seconds, self.evaluation_seconds = state["step_seconds"], state["evaluation_seconds"]
        return True

    def close(self) -> None:
        """Let go of what is scored and written in the background."""
        if self.watch is not None:
            self.watch.close()
        if self.rollouts is not None:
            self.rollouts.close()

    @property
    def _on_sample(self) -> OnSample | None:
        return self.watch.see if self.watch is not None else None

    def event(self, code: str, message: str) -> None:
        self._write({"kind": "event", "step": self.progress.step, "code": code, "message": message})

    def _write(self, record: Record) -> None:
        for sink in self.sinks:
            sink.write(record)
        self.watcher.write(record)

    def _time_left(self, step: int) -> dict[str, float]:
        steps = self.plan.total_steps - step
        return time_left(self.step_seconds, self.evaluation_seconds, steps, math.ceil(steps / self.plan.evaluate_every))

    def _state(self) -> dict[str, Any]:
        return {
            "progress": dataclasses.asdict(self.progress),
            "advisor": self.advisor.state_dict(),
            "failures": self.failures.state_dict(),
            "step_seconds": self.step_seconds,
            "evaluation_seconds": self.evaluation_seconds,
        }


def _first_failure(evaluation: Evaluation) -> str:
    return next((score.receipt.message for score in evaluation.scores if score.is_failed), "")
