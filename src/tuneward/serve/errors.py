"""Every failure leaves as OpenAI's error envelope, with all four keys.

Source: OpenAI RFT contract, 1.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tuneward.types import Json

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


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

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), self.status, self.headers)


def install(app: FastAPI) -> None:
    """Answer every kind of failure with the envelope."""

    async def of_ours(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ApiError)
        return error.response()

    async def of_validation(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return from_validation(error.errors()).response()

    async def of_routing(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if error.status_code in (404, 405):
            message = f"Nothing here answers {request.method} {request.url.path}."
        else:
            message = str(error.detail)
        return ApiError(error.status_code, message, headers=error.headers).response()

    app.add_exception_handler(ApiError, of_ours)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(HTTPException, of_routing)


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
