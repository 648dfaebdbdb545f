"""Files of projects: uploaded data, and results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from tuneward.jobs.service import Page
from tuneward.store.database import Database
from tuneward.store.tables import File


class FileService:
    """Stores content in `HOME/projects/PROJECT/files/ID`, written aside, synced and renamed; the row comes last, so
    that what is listed is whole."""

    def __init__(self, database: Database, home: Path, *, largest_bytes: int = 512 * 2**20):
        self._database = database
        self._home = home
        self._largest_bytes = largest_bytes

    def add(
        self,
        project_id: str,
        *,
        purpose: str,
        filename: str,
        content: Iterable[bytes],
        expires_after_s: int | None = None,
    ) -> File:
        """Store a file. Raises InvalidRequestError (purpose, name, size), StoreError (disk full)."""
        raise NotImplementedError

    def get(self, project_id: str, file_id: str) -> File:
        """Raises ObjectNotFoundError."""
        raise NotImplementedError

    def path(self, project_id: str, file_id: str) -> Path:
        """Where its content lies. Raises ObjectNotFoundError."""
        raise NotImplementedError

    def list(
        self,
        project_id: str,
        *,
        purpose: str | None = None,
        limit: int = 10000,
        after_id: str | None = None,
        order: Literal["asc", "desc"] = "desc",
    ) -> Page[File]:
        """Raises ObjectNotFoundError when `after_id` is no file."""
        raise NotImplementedError

    def delete(self, project_id: str, file_id: str) -> None:
        """Raises ObjectNotFoundError, ConflictError when a job that has not ended needs it."""
        raise NotImplementedError
