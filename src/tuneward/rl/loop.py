"""The training loop: steps, evaluations, early stopping, checkpoints. What hangs on it comes in as hooks."""

from __future__ import annotations

import time
from typing import Any, Protocol

import torch

from tuneward.config import Config
from tuneward.engine.engine import Engine
from tuneward.engine.record import ForwardRecord
from tuneward.engine.roofline import Roofline
from tuneward.engine.sampler import SamplingParams
from tuneward.engine.scorer import pack
from tuneward.errors import NonFiniteError, TrainingError
from tuneward.models.memory import return_freed_memory
from tuneward.points import reached
from tuneward.rewards.policy import FailurePolicy
from tuneward.rl.kl import k3
from tuneward.rl.measure import step_record
from tuneward.rl.policy import Policy
from tuneward.rl.rollout import OnSample, Rollout, roll_out
from tuneward.rl.schedule import PromptSchedule
from tuneward.rl.step import StepResult, train_step
from tuneward.rl.stopping import Progress
from tuneward.types import Grader, Prompt

KL_SEQUENCES = 32
"""Completions of the latest rollout on which the KL to the reference is measured at an evaluation."""


class Hooks(Protocol):
    """What the loop needs from around it."""

    def emit(self, record: dict[str, Any]) -> None:
        """Write a record to every sink, and let the advisor see it."""
        ...

    def stepped(self, result: StepResult) -> None:
        """Look at what was sampled in a step, and what came of it, before its record is written."""
        ...

    def evaluate(self, step: int, extra: dict[str, float]) -> tuple[float, float]:
        """Evaluate on validation prompts, emit the record with `extra` in it; returns (mean reward, exact share)."""
        ...

    def save(self, step: int, *, is_best: bool) -> None:
        """Write a checkpoint of the state after this step."""
        ...

    def wants_stop(self) -> str | None:
        """A reason from outside (a signal, say) to finish now."""
        ...


def training_loop(
    policy: Policy,
    engine: Engine,
    grader: Grader,
    failures: FailurePolicy,
    schedule: PromptSchedule[Prompt],
    config: Config,
    progress: Progress,
    hooks: Hooks,
    *,
    total_steps: int,
    evaluate_every: int,
    token_budget: int,
    record: ForwardRecord | None = None,
    roofline: Roofline | None = None,
    first_rollout: Rollout | None = None,
    on_sample: OnSample | None = None,
) -> str:
    """Train from `progress.step` to the end; returns why it ended, in words.

    Args:
        record: where rollouts keep what the model computed, for the update to take over.
        roofline: the machine's best, to measure steps against.
        first_rollout: rollout of the next step when the checks before training have already made it.
        on_sample: sees each training sample as it is handed to the grader.

    Raises:
        TrainingError: non-finite numbers that would not go away.
        GraderError: failures beyond what the policy allows.
    """
    training = config.training
    params = SamplingParams(training.max_completion_tokens, temperature=training.temperature)
    while progress.step < total_steps:
        step, started = progress.step + 1, time.perf_counter()
        rollout: Rollout | None
        try:
            rollout = first_rollout or roll_out(
                engine,
                grader,
                schedule.batch(step),
                training.samples_per_prompt,
                params,
                run_seed=config.run.seed,
                step=step,
                record=record,
                on_sample=on_sample,
            )
        except NonFiniteError as error:
            rollout = None
            policy.roll_back()
            _count_non_finite(progress, str(error), training.max_skipped_updates, hooks, step)
            progress.step = step
        if first_rollout is not None:  # its time was spent before the loop's clock started
            started -= first_rollout.seconds_sampling + first_rollout.seconds_waiting
            first_rollout = None
        if rollout is not None:
            failures.observe(rollout.all_scores)
            reached("step.sampled")
            is_memory_limited = training.memory_gb is not None
            if is_memory_limited:
                return_freed_memory()
            result = train_step(policy, engine, rollout, training, step=step, token_budget=token_budget)
            if is_memory_limited:
                return_freed_memory()
            reached("step.updated")

            progress.step = step
            seconds = time.perf_counter() - started
            progress.seconds_trained += seconds
            hooks.stepped(result)
            hooks.emit(
                step_record(
                    result,
                    epoch=schedule.epoch(step),
                    exact_threshold=config.evaluation.exact_threshold,
                    seconds=seconds,
                    roofline=roofline,
                )
            )
            reached("step.recorded")
            if result.update.is_non_finite:
                _count_non_finite(progress, result.update.skipped or "", training.max_skipped_updates, hooks, step)
            else:
                progress.non_finite_in_a_row = 0

        reason = hooks.wants_stop()
        is_best = is_evaluated = False
        if step % evaluate_every == 0 or step == total_steps:
            try:
                # A step whose sampling failed has no completions to measure on; its evaluation is due all the same.
                kl = {}
                if rollout:
                    kl["kl_ref"] = kl_to_reference(policy, engine, rollout, training.temperature, token_budget)
                reward, exact = hooks.evaluate(step, kl)
            except NonFiniteError as error:  # the update just made overflows
                policy.roll_back()
                _count_non_finite(progress, str(error), training.max_skipped_updates, hooks, step)
            else:
                is_best, is_evaluated = progress.note_evaluation(step, reward, config.evaluation), True
                reason = reason or progress.reason_to_stop(exact, config.evaluation)
            reached("evaluation.done")
        if config.run.stop_at is not None and step >= config.run.stop_at:
            reason = reason or f"run.stop_at is {config.run.stop_at}"
        is_due = step % config.run.checkpoint_every_steps == 0 or step == total_steps
        if reason or is_evaluated or is_due:
            hooks.save(step, is_best=is_best)
        if reason:
            return reason
    return f"all {total_steps} steps are done"


def kl_to_reference(policy: Policy, engine: Engine, rollout: Rollout, temperature: float, token_budget: int) -> float:
    """KL(policy ‖ reference) in nats per token, k3 on completions that the policy itself sampled.

    The sampler's log-probs are the policy's as of that rollout, so one pass of the reference is enough.
    """
    groups = rollout.groups
    per_group = max(1, KL_SEQUENCES // len(groups))
    chosen = [(group.prompt, c) for group in groups for c in group.completions[:per_group]][:KL_SEQUENCES]
    pairs = [(prompt.token_ids, c.token_ids) for prompt, c in chosen]
    total = 0.0
    for indices in pack(pairs, token_budget):
        with torch.no_grad(), policy.as_reference():
            reference = engine.logprobs([pairs[index] for index in indices], temperature)
        sampled = [value for index in indices for value in chosen[index][1].logprobs]
        total += float(k3(torch.tensor(sampled, device=reference.device), reference).sum())
    return total / sum(len(c.token_ids) for _, c in chosen)


def _count_non_finite(progress: Progress, reason: str, limit: int, hooks: Hooks, step: int) -> None:
    progress.non_finite_in_a_row += 1
    message = f"step {step} was skipped and the adapter rolled back: {reason}"
    hooks.emit({"kind": "event", "step": step, "code": "skipped_update", "message": message})
    if progress.non_finite_in_a_row >= limit:
        raise TrainingError(
            f"{reason} {progress.non_finite_in_a_row} times in a row. The adapter stands at the last good update; "
            "lower training.learning_rate (a tenth is a good first try) and resume from an earlier checkpoint."
        )
