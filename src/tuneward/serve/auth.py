"""Who calls. `Services.authenticate` tells; routes say with `Viewer`, `Developer` or `Admin` who may call them."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from tuneward.accounts.keys import ENVIRONMENT_KEY, digest_of
from tuneward.accounts.lookup import KeyLookup, KnownKey
from tuneward.accounts.principal import DEFAULT_PROJECT, Principal, Role
from tuneward.accounts.problems import AccountError
from tuneward.accounts.projects import DEFAULT_ACCOUNT
from tuneward.accounts.repeats import Repeats
from tuneward.accounts.short_term import LONGEST_S, presigned_in
from tuneward.accounts.signature import Incoming, Signature, SignatureError, is_signed, read_signature
from tuneward.accounts.sigv4 import NO_BODY, check_signature
from tuneward.serve.auth_errors import Refusal
from tuneward.serve.errors import dialect_of
from tuneward.store.database import Database

Authenticate = Callable[[Request], Awaitable[Principal]]
"""Raises ApiError 401, or AwsError 403, when the caller may not call."""

T = TypeVar("T")

SIGNED_FOR = {"openai": ("bedrock-mantle",), "bedrock": ("bedrock",), "lambda": ("lambda",)}
"""Service in the scope of a signature, by dialect. Source: Bedrock RFT contract, 7.1 and 8.0."""


def fixed_key(key: str | None, role: Role = "admin") -> Authenticate:
    """One key for all callers, as `Authorization: Bearer KEY`; None lets everybody call.

    Source: OpenAI RFT contract, 1.1.
    """
    principal = Principal("key_fixed", DEFAULT_PROJECT, DEFAULT_ACCOUNT, role)

    async def authenticate(request: Request) -> Principal:
        if key is not None:
            given = _bearer(request, Refusal(dialect_of(request.scope["path"])))
            if not secrets.compare_digest(given, key.encode()):
                raise Refusal(dialect_of(request.scope["path"])).unknown_key()
        return principal

    return authenticate


class KeyAuthenticator:
    """Keys of the database: bearer keys, and access keys by signature (Version 4). An `Authenticate`.

    Args:
        database: of the server.
        home: of the server.
        region: of the server; signatures must be for it.
        environment_key: a bearer key that is an administrator's of the default project.
        clock: seconds since 1970.

    Source: OpenAI RFT contract, 1.1; Bedrock RFT contract, 7.1 and 8.0.
    """

    def __init__(
        self,
        database: Database,
        home: Path,
        *,
        region: str = "us-east-1",
        environment_key: str | None = None,
        clock: Callable[[], float] = time.time,
    ):
        self._lookup = KeyLookup(database, home, clock=clock)
        self._region, self._clock = region, clock
        self._repeats = Repeats()
        self._environment_digest = digest_of(environment_key.encode()) if environment_key else None

    async def __call__(self, request: Request) -> Principal:
        """The caller of a request. Raises ApiError 401, AwsError 403, StoreError."""
        refusal = Refusal(dialect_of(request.scope["path"]))
        incoming = _incoming(request)
        if is_signed(incoming):
            principal = await self._signer(request, incoming, refusal)
        else:
            principal = await self._bearer_of(request, refusal)
        project = request.headers.get("openai-project")
        if refusal.dialect == "openai" and project and project != principal.project_id:
            raise refusal.other_project()
        return principal

    async def _bearer_of(self, request: Request, refusal: Refusal) -> Principal:
        key = _bearer(request, refusal)
        digest = digest_of(key)
        if self._environment_digest and secrets.compare_digest(digest, self._environment_digest):
            return Principal("key_environment", DEFAULT_PROJECT, DEFAULT_ACCOUNT, "admin", ENVIRONMENT_KEY)
        if presigned := presigned_in(key.decode("latin-1")):
            known, _ = await self._checked(presigned, ("bedrock",), refusal, longest_s=LONGEST_S)
            return known.principal
        known_key = self._lookup.remembered(digest) or await run_in_threadpool(self._lookup.bearer, key)
        if known_key is None:
            raise refusal.unknown_key()
        if known_key.expires_at is not None and known_key.expires_at <= self._clock():
            raise refusal.expired_key()
        return known_key.principal

    async def _signer(self, request: Request, incoming: Incoming, refusal: Refusal) -> Principal:
        known, signature = await self._checked(incoming, SIGNED_FOR[refusal.dialect], refusal, body=request.body)
        if self._repeats.is_recording(incoming.method, signature.value):
            raise refusal.signature(
                "InvalidSignatureException", "The signature was used before; sign every request anew."
            )
        return known.principal

    async def _checked(
        self,
        incoming: Incoming,
        services: tuple[str, ...],
        refusal: Refusal,
        *,
        body: Callable[[], Awaitable[bytes]] | None = None,
        longest_s: int | None = None,
    ) -> tuple[KnownKey, Signature]:
        """The key that a request is signed with. The body is only read for a key that exists."""
        try:
            signature = read_signature(incoming)
            known = self._lookup.remembered(signature.key_id)
            known = known or await run_in_threadpool(self._lookup.access_key, signature.key_id)
            if known is None:
                raise refusal.unknown_access_key()
            if signature.session_token is not None:
                raise refusal.session_token()
            if body is not None:
                incoming = incoming.with_body(hashlib.sha256(await body()).hexdigest())
            check_signature(
                incoming,
                signature,
                known.secret,
                region=self._region,
                services=services,
                now=self._clock(),
                longest_s=longest_s,
            )
        except SignatureError as error:
            raise refusal.signature(error.kind, str(error)) from None
        except AccountError as error:
            raise refusal.signature("UnrecognizedClientException", str(error)) from None
        return known, signature


def environment_key() -> str | None:
    """The administrator's key that the environment names, if it does."""
    return os.environ.get(ENVIRONMENT_KEY) or None


def _bearer(request: Request, refusal: Refusal) -> bytes:
    given = request.headers.getlist("authorization")
    scheme, _, key = given[0].strip().partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not key.strip():
        raise refusal.no_key()
    return key.strip().encode("latin-1")


def _incoming(request: Request) -> Incoming:
    scope = request.scope
    raw = scope.get("raw_path") or scope["path"].encode()
    return Incoming(
        request.method,
        raw.decode("latin-1"),
        scope["query_string"].decode("latin-1"),
        tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
        NO_BODY,
    )
