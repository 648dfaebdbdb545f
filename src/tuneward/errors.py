"""The few error types of Tuneward.

Every message says what is wrong, where (file, row, field) and what to do, in one sentence or two,
because the same text becomes a line on the terminal, an API error body and a job's failure message.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TunewardError(Exception):
    """Base of every error whose text is meant for the user; `exit_code` is the CLI's."""

    exit_code = 1


class ConfigError(TunewardError):
    """A configuration file, flag or override is wrong."""

    exit_code = 2


class DataError(TunewardError):
    """A dataset cannot be used as it is."""

    exit_code = 3


class PassingDataError(DataError):
    """Data cannot be reached at the moment; another try may succeed."""


class ModelError(TunewardError):
    """A model cannot be found, read, or fitted into this machine."""

    exit_code = 4


class GraderError(TunewardError):
    """A reward function is missing, broken, or failed beyond what the policy allows."""

    exit_code = 5


class RunError(TunewardError):
    """A run folder cannot be written, read or resumed."""

    exit_code = 6


class TrainingError(TunewardError):
    """Training stopped because going on would be useless or harmful (no signal, non-finite numbers)."""

    exit_code = 7


class EngineError(TunewardError):
    """A sampling engine outside this process cannot be started, does not fit, or stopped answering."""

    exit_code = 8


class StoreError(TunewardError):
    """The service's database cannot be used at the moment; another try may succeed."""

    exit_code = 9


class DiskError(StoreError):
    """The server's disk is full or cannot be written."""


class NonFiniteError(TrainingError):
    """NaN or infinity in logits, loss or gradients; the loop rolls back and, if it persists, stops."""


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Suffix such as `; did you mean "learning_rate"?`, or an empty string when nothing is near.

    `prefix` is shown before the name found, and does not count when looking for it.
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{prefix}{near[0]}"?' if near else ""
