"""Hyperparameters of a request → sections of a run's configuration; what `auto` becomes is decided here alone.

What the service makes of `auto` was never published (OpenAI RFT contract, 3.2 and 11). docs/coming-from-openai.md
has these rules as a table.
"""

from __future__ import annotations

import math
from typing import Any

from tuneward.serve.openai.job_request import ReinforcementHyperparameters, SupervisedHyperparameters

LEARNING_RATE = 1e-4
"""Of the adapter at a multiplier of 1."""

GROUP = 8
"""Completions per prompt at a compute multiplier of 1."""

STEPS = 60
"""Steps that `n_epochs: auto` aims at, with at most MOST_EPOCHS passes."""
MOST_EPOCHS = 10

SUPERVISED_EPOCHS = 3

COMPLETION_TOKENS = {"low": 256, "default": 512, "medium": 512, "high": 1024}
"""By `reasoning_effort`; at most half of the model's context."""

PROMPT_TOKENS = 1024
"""Longest prompt where the model's context is not known."""

MOST_VALIDATION_ROWS = 1000
"""Source: OpenAI RFT contract, section 4."""
MOST_STEPS_BETWEEN_EVALUATIONS = 1000


def reinforcement_sections(
    asked: ReinforcementHyperparameters,
    *,
    rows: int,
    has_validation: bool,
    context: int | None,
    completion_tokens: int | None = None,
) -> dict[str, Any]:
    """Sections `data`, `training` and `evaluation`.

    Args:
        asked: None stands for `auto`.
        rows: lines of the training file.
        has_validation: there is a validation file.
        context: of the model, tokens; None: unknown.
        completion_tokens: limit that was asked for; None: by the reasoning effort.
    """
    batch = asked.batch_size or auto_batch(rows, most=32)
    steps = max(1, rows // batch)
    completion = completion_tokens or COMPLETION_TOKENS[asked.reasoning_effort or "default"]
    prompt = PROMPT_TOKENS
    if context is not None:
        completion = completion if completion_tokens else min(completion, max(1, context // 2))
        prompt = max(1, context - completion)
    samples = asked.eval_samples or 1
    return {
        "data": {"max_prompt_length": prompt},
        "training": {
            "epochs": asked.n_epochs or min(MOST_EPOCHS, math.ceil(STEPS / steps)),
            "prompts_per_step": batch,
            "samples_per_prompt": max(2, round(GROUP * (asked.compute_multiplier or 1.0))),
            "learning_rate": LEARNING_RATE * (asked.learning_rate_multiplier or 1.0),
            "max_completion_tokens": completion,
        },
        "evaluation": {
            "every_steps": min(asked.eval_interval or min(10, steps), MOST_STEPS_BETWEEN_EVALUATIONS),
            "samples_per_prompt": samples,
            # Several greedy answers to one prompt would all be the same.
            "temperature": 0.0 if samples == 1 else 1.0,
            # Who says how many passes gets as many.
            "early_stopping": asked.n_epochs is None,
            **({"max_rows": MOST_VALIDATION_ROWS} if has_validation else {}),
        },
    }


def supervised_sections(
    asked: SupervisedHyperparameters, *, rows: int, has_validation: bool, context: int | None
) -> dict[str, Any]:
    """Sections of `SupervisedConfig`; as `reinforcement_sections`."""
    return {
        "data": {} if context is None else {"max_row_tokens": context},
        "training": {
            "epochs": asked.n_epochs or SUPERVISED_EPOCHS,
            "rows_per_step": asked.batch_size or auto_batch(rows, most=8),
            "learning_rate": LEARNING_RATE * (asked.learning_rate_multiplier or 1.0),
        },
        "evaluation": {
            "early_stopping": asked.n_epochs is None,
            **({"max_rows": MOST_VALIDATION_ROWS} if has_validation else {}),
        },
    }


def auto_batch(rows: int, *, most: int) -> int:
    """About 25 steps a pass, of 4 rows or more."""
    return max(1, min(rows, most, max(4, rows // 25)))
