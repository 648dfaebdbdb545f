"""Who may call. Routes depend on an `Authenticate`, so that another way to tell callers apart is one function."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from tuneward.serve.errors import ApiError

Authenticate = Callable[[Request], Awaitable[None]]
"""Raises ApiError 401 when the caller may not call."""


def bearer_key(key: str | None) -> Authenticate:
    """One key for all callers, as `Authorization: Bearer KEY`; None lets everybody call.

    Source: OpenAI RFT contract, 1.1.
    """

    async def authenticate(request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if key is not None and not secrets.compare_digest(given.encode(), key.encode()):
            reason = "Incorrect API key provided." if given else "No API key provided: send Authorization: Bearer KEY."
            raise ApiError(401, reason, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})

    return authenticate
