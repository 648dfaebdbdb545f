"""What can be wrong with a registered function; an API answers each kind with a status of its own."""

from __future__ import annotations

from tuneward.errors import GraderError


class FunctionNotFoundError(GraderError):
    """No such function, version or alias."""


class FunctionConflictError(GraderError):
    """It exists already, or something else still needs it."""


class InvalidFunctionError(GraderError):
    """A name, setting or archive that breaks the rules."""
