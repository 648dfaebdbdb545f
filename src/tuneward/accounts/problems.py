"""What can be wrong with projects and keys."""

from __future__ import annotations

from tuneward.errors import TunewardError


class AccountError(TunewardError):
    """A project or key cannot be made or used as asked."""


class UnknownAccountError(AccountError):
    """There is no such project or key."""
