"""The states of a job and every way from one to another: one table, and nothing else decides.

validating → queued → running → succeeded
Users pause (`running → pausing → paused → queued`), stop and keep what was learned (`→ stopping → stopped`) and cancel.
A job whose process dies keeps its state; whoever takes it next goes on from its newest checkpoint.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from tuneward.store.tables import JobState

State: TypeAlias = JobState


class Action(StrEnum):
    """What can happen to a job; users may ask for the first four."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    """Stop and keep the newest checkpoint."""
    VALIDATED = "validated"
    """Data, reward, model and plan are in order."""
    STARTED = "started"
    """A process has taken it from the queue."""
    YIELDED = "yielded"
    """The process saved its state and ended before the training did, as it was asked to."""
    RELEASED = "released"
    """The worker is shutting down; another one goes on."""
    FINISHED = "finished"
    FAILED = "failed"


TRANSITIONS: dict[State, dict[Action, State]] = {
    "validating": {
        Action.CANCEL: "cancelled",
        Action.STOP: "stopped",
        Action.VALIDATED: "queued",
        Action.FAILED: "failed",
    },
    "queued": {
        Action.CANCEL: "cancelled",
        Action.PAUSE: "paused",
        Action.STOP: "stopped",
        Action.STARTED: "running",
        Action.FAILED: "failed",
    },
    "running": {
        Action.CANCEL: "cancelled",
        Action.PAUSE: "pausing",
        Action.STOP: "stopping",
        Action.RELEASED: "queued",
        Action.FINISHED: "succeeded",
        Action.FAILED: "failed",
    },
    "pausing": {
        Action.CANCEL: "cancelled",
        Action.STOP: "stopping",
        Action.YIELDED: "paused",
        Action.FINISHED: "succeeded",
        Action.FAILED: "failed",
    },
    "paused": {
        Action.CANCEL: "cancelled",
        Action.STOP: "stopped",
        Action.RESUME: "queued",
    },
    "stopping": {
        Action.CANCEL: "cancelled",
        Action.YIELDED: "stopped",
        Action.FINISHED: "succeeded",
        Action.FAILED: "failed",
    },
    "succeeded": {},
    "failed": {},
    "cancelled": {},
    "stopped": {},
}
"""State → what may happen in it → the state after it."""

STATES: tuple[State, ...] = tuple(TRANSITIONS)
TERMINAL = frozenset(state for state, ways in TRANSITIONS.items() if not ways)
ACTIVE: frozenset[State] = frozenset({"validating", "running", "pausing", "stopping"})
"""A process works on it, or one is wanted at once."""


def after(state: State, action: Action) -> State | None:
    """The state after an action; None where the table has no such way."""
    return TRANSITIONS[state].get(action)
