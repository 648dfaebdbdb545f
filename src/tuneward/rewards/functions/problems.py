"""What can be wrong with a registered function; an API answers each kind with a status of its own."""

from __future__ import annotations

from tuneward.errors import GraderError


class FunctionNotFoundError(GraderError):
    """No such function, version or alias."""


class FunctionConflictError(GraderError):
    """It exists already, or something else still needs it."""


class FunctionRevisionError(GraderError):
    """It was changed since the caller read it."""


class FunctionBusyError(GraderError):
    """No more calls are taken at the moment.

    Args:
        reason: as AWS Lambda names it.
    """

    def __init__(self, message: str, *, reason: str):
        super().__init__(message)
        self.reason = reason


class InvalidFunctionError(GraderError):
    """A name, setting or archive that breaks the rules."""
