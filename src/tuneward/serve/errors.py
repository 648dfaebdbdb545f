"""Every failure leaves in the words of the dialect that was spoken: OpenAI's envelope under `/v1`, AWS's elsewhere.

Sources: OpenAI RFT contract, 1.5; Bedrock RFT contract, 8.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tuneward.errors import StoreError
from tuneward.jobs.problems import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    LimitExceededError,
    ObjectNotFoundError,
    ServiceError,
)
from tuneward.serve.aws_errors import AwsError, named
from tuneward.types import Json

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

Dialect = Literal["openai", "bedrock", "lambda"]

LAMBDA = "/2015-03-31/"
OURS = ("/v1/", "/api/", "/healthz", "/readyz", "/metrics", "/openapi.json")


def dialect_of(path: str) -> Dialect:
    """Whose words a failure on this path has."""
    if path.startswith(LAMBDA):
        return "lambda"
    return "openai" if path == "/" or path.startswith(OURS) else "bedrock"


class ApiError(Exception):
    """A failure as the client sees it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    def body(self) -> Json:
        kind = "server_error" if self.status >= 500 else _TYPES.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self, dialect: Dialect = "openai") -> JSONResponse:
        if dialect != "openai":
            return named(self.status, self.message, is_lambda=dialect == "lambda", headers=self.headers).response()
        return JSONResponse(self.body(), self.status, self.headers)


def install(app: FastAPI) -> None:
    """Answer every kind of failure in the right words."""

    def answer(request: Request, error: Exception) -> JSONResponse:
        return response_to(error, request.method, request.url.path)

    async def handle(request: Request, error: Exception) -> JSONResponse:
        return answer(request, error)

    for kind in (ApiError, AwsError, ServiceError, StoreError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)


def response_to(error: Exception, method: str, path: str) -> JSONResponse:
    """The answer to a request that failed."""
    dialect = dialect_of(path)
    if isinstance(error, AwsError):
        return error.response()
    if isinstance(error, ServiceError) and dialect == "bedrock":
        return _to_bedrock(error).response()
    if isinstance(error, RequestValidationError):
        error = from_validation(error.errors())
    elif isinstance(error, HTTPException):
        is_route = error.status_code in (404, 405)
        message = f"Nothing here answers {method} {path}." if is_route else str(error.detail)
        error = ApiError(error.status_code, message, headers=error.headers)
    elif isinstance(error, StoreError):
        error = ApiError(503, str(error), code="server_is_overloaded", headers={"Retry-After": "2"})
    elif isinstance(error, ServiceError):
        error = _to_api(error, dialect)
    assert isinstance(error, ApiError)
    return error.response(dialect)


def _to_api(error: ServiceError, dialect: Dialect) -> ApiError:
    # A client of OpenAI's repeats what is answered with 409, so conflicts are 400 there.
    statuses: dict[type[ServiceError], int] = {
        InvalidRequestError: 400,
        ObjectNotFoundError: 404,
        ConflictError: 409 if dialect == "lambda" else 400,
        ForbiddenError: 403,
        LimitExceededError: 429,
    }
    headers = {}
    if isinstance(error, LimitExceededError):
        wait_s = error.retry_after_s
        headers = {"x-should-retry": "false"} if wait_s is None else {"Retry-After": f"{max(1, round(wait_s))}"}
    status = next((status for kind, status in statuses.items() if isinstance(error, kind)), 400)
    return ApiError(status, error.message, param=error.param, code=error.code, headers=headers)


def _to_bedrock(error: ServiceError) -> AwsError:
    if isinstance(error, ConflictError):
        return AwsError("ConflictException", 400, error.message)
    if isinstance(error, LimitExceededError) and error.retry_after_s is None:
        return AwsError("ServiceQuotaExceededException", 400, error.message)
    api = _to_api(error, "bedrock")
    return named(api.status, api.message, is_lambda=False, headers=api.headers)


def from_validation(problems: Sequence[Json]) -> ApiError:
    """A 400 for the first thing wrong with a body."""
    problem = problems[0]
    param = dotted(problem["loc"])
    kind = str(problem["type"])
    if kind.startswith("json_invalid") or not param:
        return ApiError(400, "The body is not a JSON object.", code="invalid_json")
    reason = str(problem["msg"]).removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    if kind == "missing":
        return ApiError(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if kind.endswith("_type"):
        return ApiError(400, f"Invalid type for '{param}': {reason}.", param=param, code="invalid_type")
    return ApiError(400, f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")


def dotted(location: Sequence[str | int]) -> str:
    """("body", "messages", 0, "role") → `messages[0].role`."""
    path = ""
    for part in location[1:]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
