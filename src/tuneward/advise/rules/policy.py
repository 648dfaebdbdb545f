"""Rules about the policy: its entropy, its lengths, its gradients, and whether sampler and trainer agree."""

from __future__ import annotations

import numpy as np

from tuneward.advise.history import History, mean
from tuneward.advise.limits import Advice, AdviceLimits
from tuneward.advise.rules.reward import is_saturated

MEDIAN_STEPS = 50
"""Steps of the running median of the gradient norm."""
MEDIAN_LEAST = 5


def entropy_collapse(history: History, limits: AdviceLimits) -> Advice | None:
    """The policy says one thing only; not when the reward is at its ceiling, where certainty is earned."""
    now = history.recent("entropy", limits.recent)
    first = history.at_start("entropy")
    if len(now) < limits.recent or first is None or is_saturated(history, limits):
        return None
    level = mean(now)
    if level >= limits.entropy_floor and level >= limits.entropy_share_of_start * first:
        return None
    return Advice(
        "entropy_collapse",
        "warning",
        f"Policy entropy is {level:.3f} nats per token over the last {len(now)} steps, {first:.2f} at the start: the "
        "samples of a prompt are nearly the same, so there is little left to choose between.",
        "Go back to an earlier checkpoint with a lower training.learning_rate, raise training.temperature or "
        "training.epsilon_high, or set training.beta to hold on to the base model.",
    )


def truncated(history: History, limits: AdviceLimits) -> Advice | None:
    """Answers are cut at the limit, so their rewards judge fragments."""
    shares = history.recent("truncated_share", limits.recent)
    if len(shares) < min(3, limits.recent) or mean(shares) <= limits.truncated:
        return None
    return Advice(
        "truncated",
        "warning",
        f"{mean(shares):.0%} of completions in the last {len(shares)} steps hit the length limit.",
        "Raise training.max_completion_tokens, set training.mask_truncated, or ask for shorter answers in the prompt. "
        "If nearly all are cut, the model may not know its stop token: check the chat template.",
    )


def length_growth(history: History, limits: AdviceLimits) -> Advice | None:
    """Answers and reward grow together: perhaps the reward pays for words."""
    lengths = history.recent("completion_length_mean", limits.recent)
    rewards = history.recent("reward_mean", limits.recent)
    first_length, first_reward = history.at_start("completion_length_mean"), history.at_start("reward_mean")
    if len(lengths) < limits.recent or not rewards or first_length is None or first_reward is None:
        return None
    if mean(lengths) <= limits.length_growth * first_length or mean(rewards) < first_reward + limits.reward_rise:
        return None
    return Advice(
        "length_growth",
        "warning",
        f"Answers are {mean(lengths) / first_length:.1f} times as long as at the start ({mean(lengths):.0f} tokens, "
        f"{first_length:.0f} before) while the reward rose from {first_reward:.3f} to {mean(rewards):.3f}: the reward "
        "may be paying for length.",
        "Read some long answers. If they ramble, make the reward ignore or charge for length.",
    )


def length_jump(history: History, limits: AdviceLimits) -> Advice | None:
    """Answers became much longer from one step to the next, as when the policy starts to loop."""
    lengths = history.recent("completion_length_mean", limits.recent + 1)
    if len(lengths) < 3 or "completion_length_mean" not in history.steps[-1]:
        return None
    usual, now = float(np.median(lengths[:-1])), lengths[-1]
    if now <= limits.length_jump * max(usual, lengths[-2]) or now - usual < limits.length_jump_tokens:
        return None
    return Advice(
        "length_jump",
        "warning",
        f"Mean completion length jumped from {usual:.0f} to {now:.0f} tokens in one step (step {history.step}).",
        "Look for answers that repeat themselves. If it stays, resume from the checkpoint before with a lower "
        "training.learning_rate.",
    )


def grad_norm_spike(history: History, limits: AdviceLimits) -> Advice | None:
    """One gradient far above the usual."""
    norms = history.recent("grad_norm", MEDIAN_STEPS + 1)
    if len(norms) <= MEDIAN_LEAST or "grad_norm" not in history.steps[-1]:
        return None
    usual, now = float(np.median(norms[:-1])), norms[-1]
    if usual <= 0 or now <= limits.grad_norm_spike * usual:
        return None
    return Advice(
        "grad_norm_spike",
        "warning",
        f"The gradient norm of step {history.step} is {now:.3g}, {now / usual:.0f} times the usual {usual:.3g}.",
        "Once is harmless, as gradients are clipped. If it repeats, lower training.learning_rate or raise "
        "training.prompts_per_step.",
    )


def mismatch(history: History, limits: AdviceLimits) -> Advice | None:
    """Sampler and trainer disagree on the probability of the same tokens, so the gradient is not the policy's."""
    if not history.steps:
        return None
    latest = history.steps[-1]
    ratio, difference = latest.get("mismatch_exp", 1.0), latest.get("mismatch_mean", 0.0)
    if ratio <= limits.mismatch_exp and difference <= limits.mismatch_mean:
        return None
    return Advice(
        "mismatch",
        "warning",
        f"Sampler and trainer differ by {difference:.2g} nats per token on average (mean exp {ratio:.3f}, should stay "
        f"below {limits.mismatch_exp}) at step {history.step}.",
        "They should agree to rounding. Use one precision for both, and check that the sampler has the newest adapter; "
        "a growing difference comes before a collapse.",
    )
