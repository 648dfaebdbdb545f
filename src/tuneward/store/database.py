"""A database and its transactions."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from tuneward.errors import ConfigError, StoreError
from tuneward.store.values import storable, to_json

T = TypeVar("T")

BUSY_S = 5.0
"""How long one statement waits for another transaction, before the whole work is tried again."""

POOL: dict[str, Any] = {"pool_size": 16, "max_overflow": 32, "pool_timeout": BUSY_S, "json_serializer": to_json}

TRIES_ON_CONFLICT = 3
"""Work that looks whether something is there and then makes it can be overtaken; the next try sees what is there."""

PASSING_SQLITE_ERRORS = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL,
})  # fmt: skip


class Database:
    """Runs pieces of work as transactions; threads may share it.

    Args:
        url: of SQLAlchemy: `sqlite:///PATH` or `postgresql://…`.
        patience_s: how long work is tried again while the database is locked or cannot be reached.

    Raises:
        ConfigError: the URL names no database that can be used.
    """

    def __init__(self, url: str, *, patience_s: float = 5.0):
        self.url = url
        self.patience_s = patience_s
        self.engine = _make_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"

    def read(self, work: Callable[[Session], T], *, patience_s: float | None = None) -> T:
        """Run work that only reads. Objects it returns stay usable. Raises StoreError after `patience_s`."""
        return self._run(work, patience_s, writes=False)

    def write(self, work: Callable[[Session], T], *, patience_s: float | None = None) -> T:
        """Run work as one transaction: all of it is on the disk when this returns, or none of it.

        The work may run more than once and must do nothing that a rollback does not undo. Values that a database
        cannot hold are replaced (`tuneward.store.values`).

        Raises:
            StoreError: the database was locked or gone for longer than `patience_s`.
        """
        return self._run(work, patience_s, writes=True)

    def close(self) -> None:
        self.engine.dispose()

    def _run(self, work: Callable[[Session], T], patience_s: float | None, *, writes: bool) -> T:
        give_up_at = time.monotonic() + (self.patience_s if patience_s is None else patience_s)
        wait_s, conflicts = 0.02, 0
        while True:
            try:
                with Session(self.engine, expire_on_commit=False) as session, session.begin():
                    session.connection(execution_options={"tuneward_writes": writes})
                    return work(session)
            except (DBAPIError, PoolTimeoutError) as error:
                conflicts += isinstance(error, IntegrityError)
                if not _may_pass(error) and not 0 < conflicts < TRIES_ON_CONFLICT:
                    raise
                if time.monotonic() + wait_s > give_up_at:
                    reason = " ".join(str(getattr(error, "orig", error)).split())[:200]
                    raise StoreError(f"The database cannot be used at the moment ({reason}); try again.") from None
            time.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(1.0, wait_s * 2)


def _may_pass(error: DBAPIError | PoolTimeoutError) -> bool:
    """Locked, out of connections, restarting or out of disk: another try may succeed."""
    if isinstance(error, PoolTimeoutError):
        return True
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in PASSING_SQLITE_ERRORS
    return isinstance(error, OperationalError) or error.connection_invalidated


def _make_engine(url: str) -> Engine:
    if url.startswith("postgres://"):  # as many tools write it
        url = "postgresql://" + url.removeprefix("postgres://")
    if url.startswith("postgresql://"):
        url = "postgresql+psycopg://" + url.removeprefix("postgresql://")
        engine = create_engine(url, **POOL, pool_pre_ping=True, connect_args={"connect_timeout": 5})
        event.listen(engine, "before_cursor_execute", _replace_values, retval=True)

        @event.listens_for(engine, "connect")
        def _limit_waiting(connection: Any, _record: object) -> None:
            connection.execute(f"SET lock_timeout = {round(BUSY_S * 1000)}")
            connection.commit()

        return engine
    if not url.startswith("sqlite:///"):
        raise ConfigError(f'database: "{url.split(":")[0]}" is not known; use sqlite:///PATH or postgresql://….')
    Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, **POOL, connect_args={"timeout": BUSY_S, "isolation_level": None})

    event.listen(engine, "before_cursor_execute", _replace_values, retval=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and writes later could not wait for another writer; so writers say so at once.
        writes = connection.get_execution_options().get("tuneward_writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _replace_values(
    _connection: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _is_many: bool
) -> tuple[str, Any]:
    return statement, storable(parameters)
