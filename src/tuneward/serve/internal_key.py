"""The key with which a server's own judges call it.

It belongs to a project of its own, which has no models and no files: what a grader may name is what everybody may, so
that a job of one project cannot reach tuned models of another through its judges.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

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
    """A key that holds until the block ends. Raises AccountError, StoreError."""
    try:
        project = find_project(database, PROJECT)
    except UnknownAccountError:
        project = create_project(database, PROJECT)
    issued = create_key(database, project.id, f"judges of {socket.gethostname()}:{os.getpid()}", "developer")
    try:
        yield issued.secret
    finally:

        def forget(session: Session) -> None:
            row = session.get(ApiKey, issued.info.id)
            if row is not None:
                session.delete(row)

        database.write(forget)
