"""Who calls. `Services.authenticate` tells; routes say with `Viewer`, `Developer` or `Admin` who may call them."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from tuneward.accounts.principal import DEFAULT_PROJECT, Principal, Role
from tuneward.serve.errors import ApiError

Authenticate = Callable[[Request], Awaitable[Principal]]
"""Raises ApiError 401 when the caller may not call."""


def fixed_key(key: str | None, role: Role = "admin") -> Authenticate:
    """One key for all callers, as `Authorization: Bearer KEY`; None lets everybody call.

    Source: OpenAI RFT contract, 1.1.
    """
    principal = Principal("key_fixed", DEFAULT_PROJECT, "000000000000", role)

    async def authenticate(request: Request) -> Principal:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if key is not None and not secrets.compare_digest(given.encode(), key.encode()):
            reason = "Incorrect API key provided." if given else "No API key provided: send Authorization: Bearer KEY."
            raise ApiError(401, reason, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        return principal

    return authenticate
