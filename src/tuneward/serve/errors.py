"""Every failure leaves in the words of the dialect that was spoken: OpenAI's envelope under `/v1`, AWS's elsewhere.

Sources: OpenAI RFT contract, 1.5; Bedrock RFT contract, 8.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from tuneward.engine.serving.request import QueueFullError, RequestTooLongError
from tuneward.errors import EngineError, ModelError, NonFiniteError, StoreError
from tuneward.jobs.problems import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    LimitExceededError,
    ObjectNotFoundError,
    ServiceError,
)
from tuneward.serve.aws_errors import AwsError, named
from tuneward.serve.inference import AnswerTimeoutError
from tuneward.serve.not_offered import unanswered
from tuneward.types import Json

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

Dialect = Literal["openai", "bedrock", "lambda"]

LAMBDA = re.compile(r"/20\d\d-\d\d-\d\d/")
"""Every operation of AWS Lambda has the day it was introduced before its path."""
OURS = ("/v1/", "/api/", "/healthz", "/readyz", "/metrics", "/openapi.json")


def dialect_of(path: str) -> Dialect:
    """Whose words a failure on this path has."""
    if LAMBDA.match(path):
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
        # What a message or a name quotes may hold half a character, which no response can.
        message = message.encode("utf-8", "backslashreplace").decode()
        param = param and param.encode("utf-8", "backslashreplace").decode()
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
        return response_to(error, request.method, request.scope["path"])

    async def handle(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, HTTPException):  # what is not offered is looked up in files
            return await run_in_threadpool(answer, request, error)
        return answer(request, error)

    ours = (ApiError, AwsError, ServiceError, StoreError, EngineError, ModelError)
    for kind in (*ours, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)


def response_to(error: Exception, method: str, path: str) -> JSONResponse:
    """The answer to a request that failed."""
    dialect = dialect_of(path)
    if isinstance(error, RequestValidationError):
        error = from_validation(error.errors())
    elif isinstance(error, HTTPException):
        is_route = error.status_code in (404, 405)
        message = unanswered(dialect, method, path) if is_route else str(error.detail)
        error = ApiError(error.status_code, message, headers=error.headers)
    if dialect == "bedrock" or isinstance(error, AwsError):
        return as_aws_error(error).response()
    return as_api_error(error, dialect).response(dialect)


def as_api_error(error: Exception, dialect: Dialect = "openai") -> ApiError:
    """Any failure in OpenAI's words. Source: OpenAI RFT contract, 1.3 and 1.5."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ServiceError):
        return _to_api(error, dialect)
    if isinstance(error, StoreError):
        return ApiError(503, str(error), code="server_is_overloaded", headers={"Retry-After": "2"})
    if isinstance(error, QueueFullError):
        headers = {"Retry-After": str(error.retry_after_s)}
        return ApiError(429, str(error), code="rate_limit_exceeded", headers=headers)
    if isinstance(error, RequestTooLongError):
        return ApiError(400, str(error), param="messages", code="context_length_exceeded")
    if isinstance(error, NonFiniteError):
        # The same weights give the same numbers again, so a client must not try again.
        return ApiError(500, str(error), code="non_finite", headers={"x-should-retry": "false"})
    if isinstance(error, AnswerTimeoutError):
        return ApiError(504, str(error), code="timeout", headers={"x-should-retry": "false"})
    if isinstance(error, ModelError):
        return ApiError(500, str(error), param="model", code="model_error", headers={"x-should-retry": "false"})
    if isinstance(error, EngineError):
        return ApiError(503, str(error), code="server_is_overloaded")
    return ApiError(500, f"{type(error).__name__} while answering.", code="server_error")


def as_aws_error(error: Exception) -> AwsError:
    """Any failure in Bedrock's words. Source: Bedrock RFT contract, 8.0."""
    if isinstance(error, AwsError):
        return error
    if isinstance(error, ServiceError):
        return _to_bedrock(error)
    if isinstance(error, AnswerTimeoutError):
        return AwsError("ModelTimeoutException", 408, str(error))
    if isinstance(error, NonFiniteError | ModelError):
        return AwsError("ModelErrorException", 424, str(error), extra={"originalStatusCode": 500})
    api = as_api_error(error)
    return named(api.status, api.message, is_lambda=False, headers=api.headers)


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
    if kind == "extra_forbidden":
        return ApiError(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    if kind.endswith("_type"):
        return ApiError(400, f"Invalid type for '{param}': {reason}.", param=param, code="invalid_type")
    return ApiError(400, f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")


def dotted(location: Sequence[str | int]) -> str:
    """("body", "messages", 0, "role") → `messages[0].role`."""
    path = ""
    for part in location[1:]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
