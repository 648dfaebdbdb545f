"""Rules about rewards: is there any to learn from, does it grow, does it hold on validation, does it arrive."""

from __future__ import annotations

import math

from tuneward.advise.history import History, mean, trend
from tuneward.advise.limits import Advice, AdviceLimits


def is_saturated(history: History, limits: AdviceLimits) -> bool:
    """Nearly every training answer gets all there is to get, by exact success or by a reward that ends at 1."""
    exact = history.recent("exact", limits.recent)
    rewards = history.recent("reward_mean", limits.recent)
    best = history.recent("reward_max", limits.recent)
    if len(rewards) < limits.recent:
        return False
    ends_at_one = not best or max(best) <= 1.0
    return (bool(exact) and mean(exact) > limits.saturated) or (ends_at_one and mean(rewards) > limits.saturated)


def saturated(history: History, limits: AdviceLimits) -> Advice | None:
    """Nothing is left to gain on these prompts."""
    if not is_saturated(history, limits):
        return None
    reward = mean(history.recent("reward_mean", limits.recent))
    return Advice(
        "saturated",
        "info",
        f"Training reward is {reward:.3f} over the last {limits.recent} steps: nearly all answers are as good as the "
        "reward can tell, so further steps teach little.",
        "Stop here, or give harder prompts or a reward that still distinguishes good answers.",
    )


def zero_signal(history: History, limits: AdviceLimits) -> Advice | None:
    """Most groups have rewards all alike, so their completions have no advantage over each other."""
    high = is_saturated(history, limits)
    longer = history.recent("zero_signal_share", limits.zero_signal_stop_steps)
    if len(longer) == limits.zero_signal_stop_steps and mean(longer) > limits.zero_signal_stop:
        action = (
            "Stop here: the prompts are solved. Harder prompts would give signal again."
            if high
            else "Stop, and give partial credit in the reward, use easier or more varied prompts, raise "
            "training.samples_per_prompt or the temperature, or fine-tune with examples first."
        )
        return Advice(
            "no_signal",
            "stop",
            f"In the last {len(longer)} steps {mean(longer):.0%} of groups had rewards all alike, so almost nothing "
            "was learned from them.",
            action,
        )
    shares = history.recent("zero_signal_share", limits.recent)
    if high or len(shares) < limits.recent or mean(shares) <= limits.zero_signal:
        return None
    return Advice(
        "zero_signal",
        "warning",
        f"{mean(shares):.0%} of groups in the last {len(shares)} steps had rewards all alike; only the others teach.",
        "Raise training.samples_per_prompt, use prompts of middling difficulty, or give partial credit in the reward.",
    )


def reward_plateau(history: History, limits: AdviceLimits) -> Advice | None:
    """A low reward that does not move."""
    rewards = history.recent("reward_mean", limits.window)
    if len(rewards) < limits.window or mean(rewards) >= limits.plateau_reward:
        return None
    if trend(rewards)[1] > limits.trend_t:
        return None
    return Advice(
        "reward_plateau",
        "warning",
        f"Training reward has stayed at {mean(rewards):.3f} over the last {limits.window} steps, below "
        f"{limits.plateau_reward}.",
        "Look at some answers with their rewards: is the reward reachable, does the format match? Give partial credit, "
        "start from easier prompts, or fine-tune with examples first.",
    )


def reward_spread(history: History, limits: AdviceLimits) -> Advice | None:
    """Rewards scatter more and more although their mean does not grow.

    While the mean rises from near 0, pass/fail rewards must scatter more; that is learning, not trouble.
    """
    spreads = history.recent("reward_std", limits.window)
    rewards = history.recent("reward_mean", limits.window)
    if len(spreads) < limits.window:
        return None
    slope, t = trend(spreads)
    grown = slope * (len(spreads) - 1)
    before = mean(spreads) - grown / 2
    if t <= limits.trend_t or grown <= limits.spread_rise * max(before, 1e-3) or trend(rewards)[1] > limits.trend_t:
        return None
    return Advice(
        "reward_spread_rising",
        "warning",
        f"The spread of training rewards has grown from about {max(before, 0):.3f} to {before + grown:.3f} over "
        f"{len(spreads)} steps while their mean has not risen.",
        "Check that the reward gives the same answer the same score every time, and lower training.learning_rate if "
        "the policy swings.",
    )


def reward_ignored(history: History, limits: AdviceLimits) -> Advice | None:
    """Neither reward nor entropy has moved since the start: updates seem to have no effect."""
    rewards = history.recent("reward_mean", limits.ignored_steps)
    entropies = history.recent("entropy", limits.ignored_steps)
    first_reward, first_entropy = history.at_start("reward_mean"), history.at_start("entropy")
    if len(rewards) < limits.ignored_steps or len(entropies) < limits.ignored_steps or is_saturated(history, limits):
        return None
    if first_reward is None or not first_entropy:
        return None
    still = abs(mean(entropies) / first_entropy - 1) < 0.05 and abs(trend(entropies)[1]) < limits.trend_t
    flat = abs(mean(rewards) - first_reward) < limits.reward_rise and abs(trend(rewards)[1]) < limits.trend_t
    if not (still and flat):
        return None
    return Advice(
        "reward_ignored",
        "warning",
        f"After {history.step} steps neither the training reward ({mean(rewards):.3f}, {first_reward:.3f} at first) "
        f"nor the entropy ({mean(entropies):.2f} nats) has moved.",
        "Raise training.learning_rate, use more prompts per step, and make sure that the reward depends on the answer.",
    )


def overfitting(history: History, limits: AdviceLimits) -> Advice | None:
    """Validation reward falls over three evaluations, by more than its noise, while training reward rises."""
    three = [record for record in history.evaluations if "reward_mean" in record][-3:]
    if len(three) < 3:
        return None
    values = [float(record["reward_mean"]) for record in three]
    noise = max(float(record.get("reward_std", 0.0)) / math.sqrt(max(1, record.get("rows", 1))) for record in three)
    if not values[0] > values[1] > values[2] or values[0] - values[2] < max(limits.overfit_drop, noise):
        return None
    # Frequent evaluations leave few steps between them; a slope needs some.
    since = min(three[0]["step"], three[2]["step"] - limits.window)
    meanwhile = [float(r["reward_mean"]) for r in history.steps if r["step"] > since and "reward_mean" in r]
    if trend(meanwhile)[0] <= 0:
        return None
    return Advice(
        "overfitting",
        "warning",
        f"Validation reward fell from {values[0]:.3f} to {values[2]:.3f} over three evaluations (steps "
        f"{three[0]['step']} to {three[2]['step']}) while training reward rose.",
        "Stop at the best checkpoint, add training prompts, lower training.learning_rate, or set training.beta. Read "
        "some answers too: the policy may have found a gap in the reward.",
    )


def grader_errors(history: History, limits: AdviceLimits) -> Advice | None:
    """Too many samples end without a score."""
    failed = completions = 0.0
    for record in history.steps[-limits.recent :]:
        if record.get("completion_length_mean") and "completion_tokens" in record:
            failed += float(record.get("grader_errors", 0))
            completions += float(record["completion_tokens"]) / float(record["completion_length_mean"])
    if not completions or failed / completions <= limits.grader_errors:
        return None
    return Advice(
        "grader_errors",
        "warning",
        f"{failed / completions:.0%} of samples in the last steps ({failed:.0f} of {completions:.0f}) got no score: "
        "the reward function failed on them.",
        "Read the failures in the run's records; catch bad input in the reward function, or raise reward.timeout_s or "
        "reward.memory_mb.",
    )


def reward_wait(history: History, limits: AdviceLimits) -> Advice | None:
    """Steps wait for the reward function."""
    waited = history.recent("seconds_reward", limits.recent)
    whole = history.recent("seconds_step", limits.recent)
    if len(whole) < limits.recent or sum(whole) <= 0 or sum(waited) / sum(whole) <= limits.reward_wait:
        return None
    return Advice(
        "reward_wait",
        "info",
        f"{sum(waited) / sum(whole):.0%} of each step is spent waiting for the reward function "
        f"({mean(waited):.1f} of {mean(whole):.1f} s).",
        "Raise reward.workers, or make the reward function faster (load models and files once, outside the handler).",
    )
