"""What a request for jobs, models or files can be refused for; each dialect has its own words for these."""

from __future__ import annotations

from tuneward.errors import TunewardError


class ServiceError(TunewardError):
    """A refusal.

    Args:
        message: what is wrong and what to do.
        param: dotted path of the offending parameter, in the caller's words.
        code: a short name of the reason.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None):
        super().__init__(message)
        self.message, self.param, self.code = message, param, code


class InvalidRequestError(ServiceError):
    """The request cannot be carried out as it is."""


class ObjectNotFoundError(ServiceError):
    """There is no such thing, or it is somebody else's, which must look the same."""


class ConflictError(ServiceError):
    """It does not fit the state that things are in, such as pausing a finished job or taking a name twice."""


class ForbiddenError(ServiceError):
    """The key's role does not allow it."""


class LimitExceededError(ServiceError):
    """More than a limit allows.

    Args:
        retry_after_s: when another try may succeed; None: not by waiting.
    """

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, retry_after_s: float | None = None
    ):
        super().__init__(message, param=param, code=code)
        self.retry_after_s = retry_after_s
