"""Rollouts as a run keeps them, made by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tuneward.rl.rollout import Rollout
from tuneward.runs.rollouts import RolloutKeeper
from tuneward.types import Completion, FinishReason, Group, Prompt, Receipt, Row, Score, Verdict

CALL = Receipt("reward.py@1a2b3c4d", Verdict.OK, wall_s=0.25, stdout_tail="graded\n", isolation="sandbox")
FAILED = Receipt("reward.py@1a2b3c4d", Verdict.ERROR, "ValueError: no number in the answer", wall_s=0.1)
END = 0
"""Token that ends an answer."""


def text_of(step: int, row: int, index: int) -> str:
    return f"step {step}, row {row}, sample {index}"


def row_of(number: int) -> Row:
    messages = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": f"What is {number} + 1?"})
    return Row(f"row-{number}", messages, str(number + 1), {"topic": "sums"}, (), number + 1)


def group_of(step: int, number: int, rewards: Sequence[float]) -> tuple[Group, tuple[Score, ...]]:
    """A group whose tokens are its characters; NaN is a reward that failed, and the last sample is truncated."""
    completions, scores = [], []
    for index, reward in enumerate(rewards):
        text = text_of(step, number, index)
        is_cut = index == len(rewards) - 1
        ids = tuple(map(ord, text)) + (() if is_cut else (END,))
        logprobs = tuple(-0.25 * (1 + place % 4) for place in range(len(ids)))
        reason = FinishReason.LENGTH if is_cut else FinishReason.STOP
        completions.append(Completion(index, ids, logprobs, (0.5,) * len(ids), text, reason))
        receipt = FAILED if math.isnan(reward) else CALL
        metrics = {} if math.isnan(reward) else {"right": reward, "characters": float(len(text))}
        details = {"reasons": f"because of {index}"}
        scores.append(Score(f"{step}/{number}/{index}", reward, receipt, metrics, frozenset({"right"}), details))
    return Group(Prompt(row_of(number), (1, 2, 3)), tuple(completions)), tuple(scores)


def rollout_of(step: int, groups: dict[int, Sequence[float]]) -> Rollout:
    """Groups by number of their row, with the rewards of their samples."""
    made = [group_of(step, number, rewards) for number, rewards in groups.items()]
    return Rollout(tuple(group for group, _ in made), tuple(scores for _, scores in made), 0.0, 0.0)


def keeper(path: Path) -> RolloutKeeper:
    path.parent.mkdir(parents=True, exist_ok=True)
    return RolloutKeeper(
        path,
        pieces=lambda completion: [int(token != END) for token in completion.token_ids],
        special=lambda token: f"<|{token}|>",
    )


def keep_rollouts(path: Path, *, steps: int, rows: int = 2) -> None:
    """Steps from 0 of groups of three: half of them with differing rewards, the last with one that failed."""
    with closing(keeper(path)) as made:
        made.keep_prompts([Prompt(row_of(100 + number), ()) for number in range(4)], "validation")
        for step in range(steps + 1):
            groups: dict[int, Sequence[float]] = {
                number: (0.1 * number, 0.1 * number, 0.1 * number + number % 2) for number in range(rows)
            }
            groups[rows - 1] = (*groups[rows - 1][:2], math.nan)
            advantages = [1.0, -0.5, -0.5] * rows if step else None
            made.keep(step, [rollout_of(step, groups)], advantages)
        made.flush()
