"""The registry of rules: one small function each, answering at most one advice.

A new rule is a function in one of these files (or a new one) and its name in `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tuneward.advise.history import History
from tuneward.advise.limits import Advice, AdviceLimits
from tuneward.advise.rules.held_out import held_out_lags
from tuneward.advise.rules.policy import (
    entropy_collapse,
    grad_norm_spike,
    length_growth,
    length_jump,
    mismatch,
    truncated,
)
from tuneward.advise.rules.reward import (
    grader_errors,
    overfitting,
    reward_ignored,
    reward_plateau,
    reward_spread,
    reward_wait,
    saturated,
    zero_signal,
)

Rule: TypeAlias = Callable[[History, AdviceLimits], Advice | None]

RULES: tuple[Rule, ...] = (
    zero_signal,
    saturated,
    reward_plateau,
    reward_spread,
    reward_ignored,
    overfitting,
    held_out_lags,
    entropy_collapse,
    length_growth,
    length_jump,
    truncated,
    grad_norm_spike,
    mismatch,
    grader_errors,
    reward_wait,
)
"""In the order in which their advice is given."""
