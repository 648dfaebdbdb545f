"""From a key to who it stands for: through the database, or what it said a moment ago."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tuneward.accounts.keys import checked_role, digest_of
from tuneward.accounts.principal import Principal
from tuneward.accounts.vault import Vault, open_vault
from tuneward.errors import StoreError
from tuneward.store.database import Database
from tuneward.store.tables import AccessKey, ApiKey, Project

FRESH_S = 2.0
"""A key that was revoked works no longer than this."""
USE_INTERVAL_S = 60.0
"""`last_used_at` is written no more often."""
MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that may be used."""

    principal: Principal
    secret: str = ""
    """Of an access key."""
    expires_at: float | None = None


class KeyLookup:
    """Finds keys; threads may share it.

    Args:
        database: of the server.
        home: of the server, with the key of the vault.
        clock: seconds since 1970.
    """

    def __init__(self, database: Database, home: Path, *, clock: Callable[[], float] = time.time):
        self._database, self._home, self._clock = database, home, clock
        self._vault: Vault | None = None
        self._remembered: dict[str, tuple[KnownKey, float]] = {}
        self._used_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="key-use")

    def remembered(self, name: str) -> KnownKey | None:
        """What was found in the last seconds under `bearer_name` or an access key id; never waits."""
        with self._lock:
            known, until = self._remembered.get(name, (None, 0.0))
        return known if self._clock() < until else None

    def bearer(self, key: bytes) -> KnownKey | None:
        """A bearer key; None when there is none or it was revoked. Raises StoreError."""
        digest = digest_of(key)

        def work(session: Session) -> KnownKey | None:
            query = select(ApiKey, Project).join(Project, Project.id == ApiKey.project_id)
            row = session.execute(query.where(ApiKey.digest == digest, ApiKey.revoked_at.is_(None))).first()
            return None if row is None else KnownKey(_principal(*row.tuple()), expires_at=row.tuple()[0].expires_at)

        return self._found(digest, self._database.read(work), ApiKey)

    def access_key(self, key_id: str) -> KnownKey | None:
        """An access key; None when there is none or it was revoked.

        Raises:
            StoreError: the database cannot be reached.
            AccountError: its secret cannot be decrypted.
        """

        def work(session: Session) -> tuple[AccessKey, Project] | None:
            query = select(AccessKey, Project).join(Project, Project.id == AccessKey.project_id)
            row = session.execute(query.where(AccessKey.id == key_id, AccessKey.revoked_at.is_(None))).first()
            return None if row is None else row.tuple()

        row = self._database.read(work)
        if row is None:
            return None
        self._vault = self._vault or open_vault(self._home)
        return self._found(key_id, KnownKey(_principal(*row), self._vault.open(row[0].secret, key_id)), AccessKey)

    def close(self) -> None:
        """Write what is to be written."""
        self._writer.shutdown()

    def _found(self, name: str, known: KnownKey | None, table: type[ApiKey | AccessKey]) -> KnownKey | None:
        if known is None:
            return None
        now, key_id = self._clock(), known.principal.key_id
        with self._lock:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[name] = (known, now + FRESH_S)
            is_due = now - self._used_at.get(key_id, 0.0) >= USE_INTERVAL_S
            if is_due:
                self._used_at[key_id] = now
        if is_due:
            self._writer.submit(self._note_use, table, key_id, now)
        return known

    def _note_use(self, table: type[ApiKey | AccessKey], key_id: str, at: float) -> None:
        def work(session: Session) -> None:
            session.execute(update(table).where(table.id == key_id).values(last_used_at=at))

        with suppress(StoreError):  # a note that is missed is made at the next use
            self._database.write(work)


def _principal(key: ApiKey | AccessKey, project: Project) -> Principal:
    return Principal(key.id, project.id, project.account_id, checked_role(key.role), key.name)
