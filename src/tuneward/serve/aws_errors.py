"""Failures as AWS's clients read them: a message, and the exception's name in a header.

Source: Bedrock RFT contract, 8.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.responses import JSONResponse


class AwsError(Exception):
    """A failure with the name that AWS gives it."""

    def __init__(
        self,
        kind: str,
        status: int,
        message: str,
        *,
        extra: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        message = message.encode("utf-8", "backslashreplace").decode()  # what it quotes may hold half a character
        super().__init__(message)
        self.kind, self.status, self.message = kind, status, message
        self.extra, self.headers = dict(extra or {}), dict(headers or {})

    def response(self) -> JSONResponse:
        headers = {"x-amzn-ErrorType": self.kind, **self.headers}
        # Lambda's clients look for `Type` and `Message`, the others for `message`.
        body = {"message": self.message, "Message": self.message, "__type": self.kind, **self.extra}
        return JSONResponse(body, self.status, headers)


_BEDROCK = {
    400: "ValidationException",
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    405: "ValidationException",
    408: "ModelTimeoutException",
    413: "ValidationException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
_LAMBDA = {
    400: "InvalidParameterValueException",
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    409: "ResourceConflictException",
    413: "RequestTooLargeException",
    429: "TooManyRequestsException",
    503: "ServiceException",
}


def named(status: int, message: str, *, is_lambda: bool, headers: Mapping[str, str] | None = None) -> AwsError:
    """A failure of a status, by the name that it usually has."""
    names = _LAMBDA if is_lambda else _BEDROCK
    fallback = ("ServiceException" if is_lambda else "InternalServerException") if status >= 500 else names[400]
    if not is_lambda and status in (401, 405, 413):
        status = 403 if status == 401 else 400
    return AwsError(names.get(status, fallback), status, message, headers=headers)
