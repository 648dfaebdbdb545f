"""What the base model's first training answers say about whether there is anything to learn."""

from __future__ import annotations

from collections.abc import Sequence

from tuneward.evaluation.evaluate import Evaluation
from tuneward.records import Record
from tuneward.rl.rollout import Rollout


def preflight_record(rollouts: Sequence[Rollout], base: Evaluation) -> Record:
    """The record of the check for signal.

    Args:
        rollouts: of the first training prompts, by the model before training.
        base: its evaluation.
    """
    groups = [
        [score.reward for score in scores if score.is_scored] for rollout in rollouts for scores in rollout.scores
    ]
    rewards = [reward for group in groups for reward in group]
    completions = [c for rollout in rollouts for group in rollout.groups for c in group.completions]
    return {
        "kind": "preflight",
        "step": 0,
        "prompts": len(groups),
        "reward_mean": sum(rewards) / len(rewards) if rewards else 0.0,
        "base_reward": base.reward,
        "base_exact": base.exact,
        "mixed_groups_share": sum(len(set(group)) > 1 for group in groups) / max(1, len(groups)),
        "truncated_share": sum(c.is_truncated for c in completions) / max(1, len(completions)),
    }
