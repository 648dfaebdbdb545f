"""Keys: made, listed, revoked. A secret is shown once, when it is made."""

from __future__ import annotations

import hashlib
import os
import secrets
import string
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.accounts.principal import DEFAULT_PROJECT, ROLES, Role
from tuneward.accounts.problems import AccountError, UnknownAccountError
from tuneward.accounts.projects import checked_name, ensure_default_project
from tuneward.accounts.vault import Vault, open_vault
from tuneward.store.database import Database
from tuneward.store.ids import new_id
from tuneward.store.tables import AccessKey, ApiKey, Project

ENVIRONMENT_KEY = "TUNEWARD_API_KEY"
"""Variable with a key that the server accepts as an administrator's of the default project."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What is told of a key to those who manage it."""

    id: str
    kind: Literal["api", "access"]
    project_id: str
    name: str
    role: str
    hint: str
    """Last characters of an API key; of an access key nothing, as its id is no secret."""
    created_at: float
    expires_at: float | None
    last_used_at: float | None
    """To within a minute."""
    revoked_at: float | None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its secret."""

    info: KeyInfo
    secret: str
    """What a caller sends as bearer, or signs with. It cannot be shown again."""


def digest_of(key: bytes) -> str:
    """What is kept of a bearer key: SHA-256, hexadecimal."""
    return hashlib.sha256(key).hexdigest()


def create_key(
    database: Database, project_id: str, name: str, role: str, *, expires_at: float | None = None
) -> IssuedKey:
    """A bearer key of a project.

    Args:
        database: of the server.
        project_id: `proj_…`.
        name: to tell keys apart.
        role: `viewer`, `developer` or `admin`.
        expires_at: seconds since 1970; None: never.

    Raises:
        AccountError: a name, role or time that cannot be; no such project.
    """
    secret = f"tw-{secrets.token_urlsafe(32)}"
    now = time.time()
    if expires_at is not None and expires_at <= now:
        raise AccountError("expires_at: lies in the past.")
    row = ApiKey(
        id=new_id("key_"),
        project_id=project_id,
        name=checked_name(name),
        role=checked_role(role),
        digest=digest_of(secret.encode()),
        hint=secret[-4:],
        created_at=now,
        expires_at=expires_at,
        last_used_at=None,
        revoked_at=None,
    )
    return IssuedKey(_add(database, row), secret)


def create_access_key(database: Database, vault: Vault, project_id: str, name: str, role: str) -> IssuedKey:
    """A key for signed requests, as AWS's SDKs make them. Raises AccountError as `create_key`."""
    key_id = "TWAK" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))
    secret = secrets.token_urlsafe(30)
    row = AccessKey(
        id=key_id,
        project_id=project_id,
        name=checked_name(name),
        role=checked_role(role),
        secret=vault.seal(secret, key_id),
        created_at=time.time(),
        last_used_at=None,
        revoked_at=None,
    )
    return IssuedKey(_add(database, row), secret)


def list_keys(database: Database, project_id: str | None = None) -> list[KeyInfo]:
    """Keys of a project or of all, oldest first; revoked ones too."""

    def work(session: Session) -> list[KeyInfo]:
        found: list[ApiKey | AccessKey] = []
        for table in (ApiKey, AccessKey):
            query = select(table)
            found += session.scalars(query if project_id is None else query.where(table.project_id == project_id))
        return sorted((info_of(row) for row in found), key=lambda info: (info.created_at, info.id))

    return database.read(work)


def revoke_key(database: Database, key_id: str, project_id: str | None = None) -> KeyInfo:
    """End a key; it is refused a few seconds later at most. Doing it again changes nothing.

    Args:
        database: of the server.
        key_id: `key_…` or an access key id.
        project_id: whose key it must be; None: anybody's.

    Raises:
        UnknownAccountError: there is no such key.
    """

    def work(session: Session) -> KeyInfo:
        row = None if "\0" in key_id else session.get(ApiKey, key_id) or session.get(AccessKey, key_id)
        if row is None or project_id not in (None, row.project_id):
            raise UnknownAccountError(f'There is no key "{key_id[:40]}"; `tuneward keys list` shows them.')
        row.revoked_at = row.revoked_at or time.time()
        return info_of(row)

    return database.write(work)


def ensure_first_key(database: Database, home: Path) -> str | None:
    """No server is open: where there is no key yet, make an administrator's of the default project.

    Args:
        database: of the server.
        home: of the server; its `secret.key` is made if need be.

    Returns:
        The new key, to be shown once; None where there are keys, or `TUNEWARD_API_KEY` is set.
    """
    ensure_default_project(database)
    open_vault(home)
    if os.environ.get(ENVIRONMENT_KEY) or list_keys(database):
        return None
    return create_key(database, DEFAULT_PROJECT, "first key", "admin").secret


def checked_role(role: str) -> Role:
    """Raises AccountError."""
    for known in ROLES:
        if role == known:
            return known
    raise AccountError(f"role: expected {', '.join(ROLES[:-1])} or {ROLES[-1]}.")


def info_of(row: ApiKey | AccessKey) -> KeyInfo:
    """What may be told of a row."""
    is_api = isinstance(row, ApiKey)
    return KeyInfo(
        row.id,
        "api" if is_api else "access",
        row.project_id,
        row.name,
        row.role,
        row.hint if isinstance(row, ApiKey) else "",
        row.created_at,
        row.expires_at if isinstance(row, ApiKey) else None,
        row.last_used_at,
        row.revoked_at,
    )


def _add(database: Database, row: ApiKey | AccessKey) -> KeyInfo:
    info = info_of(row)

    def work(session: Session) -> None:
        if session.get(Project, info.project_id) is None:
            raise UnknownAccountError(f'There is no project "{info.project_id}"; `tuneward projects list` shows them.')
        session.add(row)

    database.write(work)
    return info
