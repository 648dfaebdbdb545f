"""The rule about the held-out grader: a reward that rises alone is being gamed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuneward.advise.history import START_STEPS, History, mean
from tuneward.advise.limits import Advice, AdviceLimits


@dataclass(frozen=True, slots=True)
class _Move:
    """How a score stood at first and stands now."""

    before: float
    now: float
    error: float
    """Standard error of the difference."""
    spread: float
    """Standard deviation of single scores: the unit in which scores on different scales are compared."""

    @property
    def gain(self) -> float:
        """In units of the spread."""
        return (self.now - self.before) / self.spread


def held_out_lags(history: History, limits: AdviceLimits) -> Advice | None:
    """The trained reward has risen beyond noise, the held-out score has not followed by even a small share of it.

    On evaluations first, as both graders judge the same answers there; between them on training answers.
    """
    moves = _on_validation(history)
    where = "on validation rows"
    if moves is None or not _is_gamed(*moves, limits):
        moves = _on_training(history, limits)
        where = "on training prompts"
    if moves is None or not _is_gamed(*moves, limits):
        return None
    reward, held_out = moves
    has = (
        "has fallen" if held_out.gain < -limits.held_out_errors * held_out.error / held_out.spread else "has not moved"
    )
    return Advice(
        "held_out_lags",
        "warning",
        f"The reward rises while the held-out score {has}: {where} the reward went from {reward.before:.3f} to "
        f"{reward.now:.3f}, the held-out score from {held_out.before:.3f} to {held_out.now:.3f}.",
        "Read some of the answers that earn most: the policy may have found a gap in the reward. Close it, make what "
        "the held-out grader sees a part of the reward, or go back to the checkpoint before the two parted.",
    )


def _is_gamed(reward: _Move, held_out: _Move, limits: AdviceLimits) -> bool:
    risen = reward.now - reward.before
    if risen < max(limits.reward_rise, limits.reward_rise_errors * reward.error):
        return False
    if limits.saturated < held_out.now <= 1:
        return False  # nearly all there is to get; it cannot follow
    error = held_out.error / held_out.spread
    return held_out.gain + limits.held_out_errors * error < limits.held_out_share * reward.gain


def _on_validation(history: History) -> tuple[_Move, _Move] | None:
    before, now = history.base, history.evaluations[-1] if history.evaluations else None
    if before is None or now is None or before["step"] == now["step"]:
        return None
    found = []
    for name, spread in (("reward_mean", "reward_std"), ("held_out", "held_out_std")):
        if not all(key in record for key in (name, spread, "rows") for record in (before, now)):
            return None
        # Rows are the same both times, which makes the true error smaller; samples of one row are not counted apart.
        error = math.sqrt(sum(record[spread] ** 2 / max(1, record["rows"]) for record in (before, now)))
        found.append(_Move(before[name], now[name], error, max(before[spread], now[spread])))
    reward, held_out = found
    # A score that never differs from answer to answer tells nothing about them.
    return (reward, held_out) if reward.spread > 0 and held_out.spread > 0 else None


def _on_training(history: History, limits: AdviceLimits) -> tuple[_Move, _Move] | None:
    reward = _step_move(history, "reward_mean", "reward_std", limits)
    held_out = _step_move(history, "held_out", "held_out_std", limits)
    return (reward, held_out) if reward and held_out else None


def _step_move(history: History, name: str, spread_name: str, limits: AdviceLimits) -> _Move | None:
    """From the first steps to the latest; the noise of one step is estimated from all recent ones."""
    start = [float(record[name]) for record in history.start if name in record]
    recent = [float(record[name]) for record in history.steps if name in record and record["step"] > START_STEPS]
    spreads = [float(record[spread_name]) for record in history.steps if spread_name in record]
    if len(start) < START_STEPS or len(recent) < limits.window or not spreads or mean(spreads) <= 0:
        return None
    now = recent[-limits.window // 2 :]
    error = _noise(recent) * math.sqrt(1 / len(start) + 1 / len(now))
    return _Move(mean(start), mean(now), error, mean(spreads))


def _noise(values: Sequence[float]) -> float:
    """Standard deviation around the straight line through the values, so that a trend is not taken for noise."""
    steps = np.arange(len(values))
    residuals = np.asarray(values) - np.polyval(np.polyfit(steps, values, 1), steps)
    return float(np.sqrt((residuals**2).sum() / (len(values) - 2)))
