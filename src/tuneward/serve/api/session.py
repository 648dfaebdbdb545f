"""`/api/session`: signing in with a browser, which keeps the key where no script can read it.

The cookie is HttpOnly and SameSite=Strict. A page of another origin can neither send it along nor, as every change also
needs the header `x-tuneward-console`, which browsers send across origins only with a permission that this server never
gives, make a browser act with it.
"""

from __future__ import annotations

import base64
import binascii
from http.cookies import CookieError, SimpleCookie
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

import tuneward
from tuneward.accounts.principal import Principal
from tuneward.serve.api.model import ApiModel
from tuneward.serve.deps import Use, Viewer
from tuneward.serve.errors import ApiError
from tuneward.serve.limits import Bucket

COOKIE = "tuneward_session"
HEADER = "x-tuneward-console"
"""Sent by the console with every request; its value is nothing to anybody."""
PATH = "/api/session"
LONG_S = 30 * 24 * 3600
SAFE = ("GET", "HEAD", "OPTIONS")
ATTEMPTS_PER_MINUTE = 60

routes = APIRouter(prefix="/api")


class SignIn(ApiModel):
    """Who wants in."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(min_length=1, max_length=4096)]
    """An API key."""
    remember: bool = False
    """Stay signed in for 30 days, instead of until the browser closes."""


class Caller(ApiModel):
    """Who is signed in."""

    key_id: str
    project_id: str
    account_id: str
    role: str
    version: str
    """Of the server."""
    region: str


@routes.post("/session")
async def sign_in(body: SignIn, request: Request, response: Response, services: Use) -> Caller:
    """Check a key and set the cookie. Needs no key but the one in the body."""
    _refuse_strangers(request)
    attempts: Bucket = request.app.state.sign_ins
    if attempts.level < 1:
        raise ApiError(429, "Too many tries to sign in; wait a minute.", code="rate_limit_exceeded")
    attempts.take(1)
    key = body.key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ApiError(401, "This is not a key of this server.", code="invalid_api_key")
    scope = {**request.scope, "headers": [(b"authorization", f"Bearer {key}".encode())]}
    principal = await services.authenticate(Request(scope))
    response.set_cookie(
        COOKIE,
        base64.urlsafe_b64encode(key.encode()).decode(),
        max_age=LONG_S if body.remember else None,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return _caller(principal, services)


@routes.get("/session")
def read_session(principal: Viewer, services: Use) -> Caller:
    """Who is calling, by cookie or by key."""
    return _caller(principal, services)


@routes.delete("/session", status_code=204)
def sign_out(request: Request, response: Response) -> None:
    """Forget the cookie. The key stays valid."""
    _refuse_strangers(request)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def _refuse_strangers(request: Request) -> None:
    """A page of another origin must not sign anybody in or out."""
    if not _is_same_origin(request.headers):
        raise ApiError(403, "Sign in from the console of this server itself.", code="cross_origin")


def _caller(principal: Principal, services: Use) -> Caller:
    return Caller(
        key_id=principal.key_id,
        project_id=principal.project_id,
        account_id=principal.account_id,
        role=principal.role,
        version=tuneward.__version__,
        region=services.config.region,
    )


class CookieKeys:
    """Turns the cookie into the bearer key that it holds, where a request brings no key of its own."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            key = None if "authorization" in headers else _key_in(headers.get("cookie", ""))
            if key is not None and _is_own(scope["method"], headers):
                MutableHeaders(scope=scope)["authorization"] = f"Bearer {key}"
        await self._app(scope, receive, send)


def _is_own(method: str, headers: Headers) -> bool:
    """Whether a request comes from the console itself."""
    return _is_same_origin(headers) and (method in SAFE or HEADER in headers)


def _is_same_origin(headers: Headers) -> bool:
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _key_in(cookies: str) -> str | None:
    try:
        found = SimpleCookie(cookies).get(COOKIE)
        key = base64.urlsafe_b64decode(found.value).decode("ascii") if found else ""
    except (CookieError, binascii.Error, UnicodeError, ValueError):
        return None
    return key if key and key.isprintable() and " " not in key else None
