"""What an advice is, and every threshold of the rules in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["info", "warning", "stop"]
"""`info`: good to know; `warning`: look into it; `stop`: going on is very likely useless."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One diagnosis."""

    code: str
    """Stable name, e.g. `entropy_collapse`."""
    severity: Severity
    message: str
    """What is seen, with the numbers; full sentences."""
    action: str
    """What to try; full sentences."""


@dataclass(frozen=True, slots=True)
class AdviceLimits:
    """Levels at which the rules speak. Shares are fractions of 1.

    Source: Bedrock RFT guidance on reading the curves (contract sections 6.7 and 12.2) and alarm levels in use in
    open trainers; where nobody publishes a level, ours.
    """

    recent: int = 5
    """Steps averaged when a rule speaks of "now", so that one odd batch says nothing."""
    window: int = 20
    """Steps over which trends are judged."""
    plateau_reward: float = 0.15
    trend_t: float = 2.5
    """A slope counts as a trend from this many standard errors on."""
    spread_rise: float = 0.25
    """Relative growth of the reward's standard deviation over the window."""
    overfit_drop: float = 0.01
    """Smallest fall of validation reward over three evaluations that counts, if noise does not ask for more."""
    entropy_floor: float = 0.05
    """Nats per token."""
    entropy_share_of_start: float = 0.1
    saturated: float = 0.95
    truncated: float = 0.1
    length_growth: float = 2.0
    """Times the length at the start."""
    length_jump: float = 1.5
    """Times the length of the steps just before."""
    length_jump_tokens: float = 8.0
    """A jump of fewer tokens is noise of short answers."""
    reward_rise: float = 0.02
    """Smallest gain in reward since the start that counts as rising."""
    reward_rise_errors: float = 3.0
    """Standard errors that the gain must be too, before a held-out score is expected to follow."""
    held_out_share: float = 0.25
    """Share of the reward's gain, each in units of its own spread, that the held-out score must keep up with."""
    held_out_errors: float = 1.64
    """Standard errors by which it must fall short of that share."""
    zero_signal: float = 0.6
    zero_signal_stop: float = 0.9
    zero_signal_stop_steps: int = 10
    grad_norm_spike: float = 5.0
    """Times the running median."""
    mismatch_exp: float = 1.02
    mismatch_mean: float = 0.01
    """Nats."""
    grader_errors: float = 0.05
    reward_wait: float = 0.3
    ignored_steps: int = 50
    """Steps without any movement of reward and entropy after which the reward seems to be ignored."""
    quiet_steps: int = 5
    """Steps a diagnosis must be absent for before it may be said again."""
    preflight_mixed_groups: float = 0.2
    """Share of groups with differing rewards below which learning will be slow."""
