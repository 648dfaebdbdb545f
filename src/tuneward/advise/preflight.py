"""Before the first step: is there anything to learn here, and is it worth it?"""

from __future__ import annotations

from tuneward.advise.limits import Advice, AdviceLimits


def preflight_advice(
    *,
    prompts: int,
    reward_mean: float,
    base_reward: float | None,
    base_exact: float,
    mixed_groups_share: float,
    truncated_share: float = 0.0,
    limits: AdviceLimits | None = None,
) -> list[Advice]:
    """Advice on the base model's first answers.

    Args:
        prompts: training prompts sampled.
        reward_mean: mean reward of their completions.
        base_reward: mean reward of the base model on the validation rows; None: there was no evaluation.
        base_exact: its share of exact successes there, without an evaluation among the completions of the prompts.
        mixed_groups_share: share of the prompts whose completions have differing rewards.
        truncated_share: share of the completions that hit the length limit.
        limits: thresholds.
    """
    limits = limits or AdviceLimits()
    findings = (
        _no_reward(reward_mean, base_reward, base_exact, mixed_groups_share),
        _solved("on validation", base_reward, base_exact, limits)
        if base_reward is not None
        else _solved("on these prompts", reward_mean, base_exact, limits),
        _signal(prompts, mixed_groups_share, limits),
        _cut(truncated_share, limits),
    )
    return [advice for advice in findings if advice]


def _no_reward(
    reward_mean: float, base_reward: float | None, base_exact: float, mixed_groups_share: float
) -> Advice | None:
    if reward_mean > 0 or (base_reward or 0) > 0 or base_exact > 0 or mixed_groups_share > 0:
        return None
    where = "on these prompts" if base_reward is None else "neither on training nor on validation prompts"
    return Advice(
        "base_zero",
        "stop",
        f"The base model earned no reward at all, {where}.",
        "Reinforcement needs some success to build on: fine-tune with supervised examples first, give partial credit "
        "in the reward, or use easier prompts. Check with one known good answer that the reward can be earned.",
    )


def _solved(where: str, base_reward: float, base_exact: float, limits: AdviceLimits) -> Advice | None:
    # A mean above 1 is a reward on another scale, about whose ceiling nothing is known.
    is_near_one = limits.saturated < base_reward <= 1
    if base_exact <= limits.saturated and not is_near_one:
        return None
    return Advice(
        "base_solved",
        "warning",
        f"The base model already succeeds {where} (reward {base_reward:.3f}, exact success {base_exact:.0%}).",
        "Training is probably unnecessary. Use harder prompts, or a stricter reward, if you want more.",
    )


def _signal(prompts: int, share: float, limits: AdviceLimits) -> Advice | None:
    if share == 0:
        return Advice(
            "no_signal",
            "stop",
            f"None of {prompts} prompts has completions with differing rewards, so there is nothing to learn from.",
            "Give partial credit in the reward, use prompts of middling difficulty, raise training.samples_per_prompt "
            "or training.temperature, or fine-tune with examples first.",
        )
    if share < limits.preflight_mixed_groups:
        return Advice(
            "little_signal",
            "warning",
            f"Only {share:.0%} of {prompts} prompts have completions with differing rewards; learning will be slow.",
            "Raise training.samples_per_prompt, choose prompts the model gets right sometimes, or give partial credit.",
        )
    return None


def _cut(share: float, limits: AdviceLimits) -> Advice | None:
    if share <= limits.truncated:
        return None
    return Advice(
        "truncated",
        "warning",
        f"{share:.0%} of the base model's completions hit the length limit.",
        "Raise training.max_completion_tokens, or ask for shorter answers in the prompt. If nearly all are cut, check "
        "the chat template and its stop tokens.",
    )
