"""The key with which a server's own judges call it.

It belongs to a project of its own, which has no models and no files: what a grader may name is what everybody may, so
that a job of one project cannot reach tuned models of another through its judges.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.accounts.keys import create_key
from tuneward.accounts.problems import UnknownAccountError
from tuneward.accounts.projects import create_project, find_project
from tuneward.store.database import Database
from tuneward.store.tables import ApiKey

PROJECT = "internal"
VARIABLE = "TUNEWARD_INTERNAL_KEY"
"""Environment variable in which the server and its workers have the key."""


@contextmanager
def internal_key(database: Database) -> Iterator[str]:
    """A key that holds until the block ends; those of servers that were killed here end, too.

    Raises:
        AccountError, StoreError: it cannot be made.
    """
    try:
        project = find_project(database, PROJECT)
    except UnknownAccountError:
        project = create_project(database, PROJECT)
    here = f"judges of {socket.gethostname()}:"
    _forget(database, [key.id for key in _keys_of(database, project.id, here) if _is_gone(key.name.removeprefix(here))])
    issued = create_key(database, project.id, f"{here}{os.getpid()}", "developer")
    try:
        yield issued.secret
    finally:
        _forget(database, [issued.info.id])


def _keys_of(database: Database, project_id: str, name: str) -> Sequence[ApiKey]:
    named = select(ApiKey).where(ApiKey.project_id == project_id, ApiKey.name.startswith(name, autoescape=True))
    return database.read(lambda session: session.scalars(named).all())


def _is_gone(pid: str) -> bool:
    """Whether no process of this machine has the id any more."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return True
    except PermissionError:  # it is somebody else's
        pass
    return False


def _forget(database: Database, ids: Sequence[str]) -> None:
    def work(session: Session) -> None:
        for row in (session.get(ApiKey, key_id) for key_id in ids):
            if row is not None:
                session.delete(row)

    if ids:
        database.write(work)
