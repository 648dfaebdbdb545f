"""When to stop early: validation reward, patience and minimum effect."""

from __future__ import annotations

from dataclasses import dataclass

from tuneward.config import EvaluationConfig


@dataclass(slots=True)
class Progress:
    """Where a run stands; part of every checkpoint."""

    step: int = 0
    best_reward: float | None = None
    best_step: int = 0
    evaluations_without_gain: int = 0
    non_finite_in_a_row: int = 0
    seconds_trained: float = 0.0
    """Wall-clock seconds spent in training steps over all sittings, evaluations apart."""

    def note_evaluation(self, step: int, reward: float, config: EvaluationConfig) -> bool:
        """Take in a validation reward; returns whether it is a new best.

        The first evaluation is the base model's: it is the mark to beat, so a run that never beats it keeps
        step 0 as its best.
        """
        if self.best_reward is None or reward > self.best_reward + config.min_improvement:
            self.best_reward, self.best_step, self.evaluations_without_gain = reward, step, 0
            return True
        self.evaluations_without_gain += 1
        return False

    def reason_to_stop(self, exact: float | None, config: EvaluationConfig) -> str | None:
        """Why to stop after the evaluation just noted, in words; None to go on."""
        if config.stop_at_exact is not None and exact is not None and exact >= config.stop_at_exact:
            target = config.stop_at_exact
            return f"exact success on validation reached {exact:.0%} (evaluation.stop_at_exact is {target:.0%})"
        if config.early_stopping and self.evaluations_without_gain >= config.patience:
            return (
                f"validation reward has not improved for {self.evaluations_without_gain} evaluations; "
                f"the best was {self.best_reward:.3f} at step {self.best_step}"
            )
        return None
