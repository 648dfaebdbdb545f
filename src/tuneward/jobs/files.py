"""Files of projects: uploaded data, and results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from sqlalchemy import ColumnElement, or_, select, tuple_
from sqlalchemy.orm import Session

from tuneward.jobs.file_checks import (
    CREATABLE,
    PRODUCED,
    check_first_lines,
    check_lifetime,
    check_purpose,
    clean_name,
    is_plain,
)
from tuneward.jobs.incoming import Incoming, disk_errors, is_abandoned, sweep_parts
from tuneward.jobs.places import project_home
from tuneward.jobs.problems import ConflictError, ObjectNotFoundError, ServiceError
from tuneward.jobs.service import Page, take
from tuneward.jobs.states import TERMINAL
from tuneward.store.database import Database
from tuneward.store.ids import new_id
from tuneward.store.tables import File, Job


class FileService:
    """Stores content in `HOME/projects/PROJECT/files/ID`, written aside, synced and renamed; the row comes last, so
    that what is listed is whole. A file whose time is over looks like a missing one."""

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
        with self.receive(project_id) as incoming:
            for piece in content:
                incoming.write(piece)
            return self.keep(project_id, incoming, purpose=purpose, filename=filename, expires_after_s=expires_after_s)

    def receive(self, project_id: str, *, largest_bytes: int | None = None) -> Incoming:
        """Begin to take in a file of which nothing need be known yet; `keep` makes it one. Raises StoreError."""
        largest = self._largest_bytes if largest_bytes is None else largest_bytes
        return Incoming(self._folder(project_id), new_id("file-", length=24), largest_bytes=largest)

    def keep(
        self,
        project_id: str,
        incoming: Incoming,
        *,
        purpose: str,
        filename: str,
        expires_after_s: int | None = None,
        also: Callable[[Session, File], None] | None = None,
    ) -> File:
        """Make a file of what was received.

        Args:
            project_id: whose it is; the same as it was received for.
            incoming: the content.
            purpose: what for.
            filename: as the caller calls it; only the last part of a path counts.
            expires_after_s: lifetime in seconds; None: until it is deleted.
            also: further work in the transaction that stores the row; what it raises undoes all.

        Raises:
            InvalidRequestError: purpose, name, lifetime or first lines.
            StoreError: disk or database.
        """
        check_purpose(purpose, CREATABLE + PRODUCED)
        check_lifetime(expires_after_s)
        name = clean_name(filename, purpose)
        if purpose == "fine-tune":
            check_first_lines(incoming.part)
        now = time.time()

        def work(session: Session) -> File:
            file = File(
                id=incoming.name,
                project_id=project_id,
                purpose=purpose,
                filename=name,
                bytes=incoming.bytes,
                sha256=incoming.sha256,
                created_at=now,
                expires_at=None if expires_after_s is None else now + expires_after_s,
                status="processed",
            )
            session.add(file)
            session.flush()
            if also is not None:
                also(session, file)
            return file

        path = incoming.keep()
        try:
            return self._database.write(work)
        except ServiceError:  # After others it is not certain that there is no row.
            path.unlink(missing_ok=True)
            raise

    def get(self, project_id: str, file_id: str) -> File:
        """Raises ObjectNotFoundError."""
        return self._database.read(lambda session: _find(session, project_id, file_id))

    def path(self, project_id: str, file_id: str) -> Path:
        """Where its content lies. Raises ObjectNotFoundError."""
        path = self._folder(project_id) / self.get(project_id, file_id).id
        if not path.is_file():
            raise ObjectNotFoundError(f"The content of {file_id} is gone from the server's disk.", param="file_id")
        return path

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

        def work(session: Session) -> Page[File]:
            query = select(File).where(File.project_id == project_id, _is_live())
            if purpose is not None:
                query = query.where(File.purpose == purpose)
            place = tuple_(File.created_at, File.id)
            if after_id is not None:
                last = _find(session, project_id, after_id, param="after")
                mark = tuple_(last.created_at, last.id)
                query = query.where(place > mark if order == "asc" else place < mark)
            columns = (File.created_at, File.id)
            return take(session, query.order_by(*(c if order == "asc" else c.desc() for c in columns)), limit)

        return self._database.read(work)

    def delete(self, project_id: str, file_id: str) -> None:
        """Raises ObjectNotFoundError, ConflictError when a job that has not ended needs it."""

        def work(session: Session) -> None:
            file = _find(session, project_id, file_id)
            unended = select(Job).where(Job.project_id == project_id, Job.state.not_in(TERMINAL))
            for job in session.scalars(unended):
                if file_id in _file_ids(job):
                    raise ConflictError(
                        f"{file_id} is used by job {job.name}, which has not ended; cancel it or wait for its end.",
                        param="file_id",
                        code="file_in_use",
                    )
            session.delete(file)

        self._database.write(work)
        (self._folder(project_id) / file_id).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove files whose time is over, and what was left of uploads that broke off; returns how many.

        Raises:
            StoreError: disk or database.
        """

        def forget(session: Session) -> list[File]:
            over = list(session.scalars(select(File).where(~_is_live())))
            for file in over:
                session.delete(file)
            return over

        over = self._database.write(forget)
        with disk_errors():
            for file in over:
                (self._folder(file.project_id) / file.id).unlink(missing_ok=True)
            folders = list(self._home.glob("projects/*/files"))
            return len(over) + sum(sweep_parts(folder) + self._sweep_unknown(folder) for folder in folders)

    def _sweep_unknown(self, folder: Path) -> int:
        """Remove content whose row a process that died had not stored yet."""
        old = {path.name: path for path in folder.iterdir() if path.is_file() and is_abandoned(path)}
        known = self._database.read(lambda session: {name for name in old if session.get(File, name) is not None})
        unknown = [path for name, path in old.items() if name not in known]
        for path in unknown:
            path.unlink(missing_ok=True)
        return len(unknown)

    def _folder(self, project_id: str) -> Path:
        return project_home(self._home, project_id) / "files"


def _is_live() -> ColumnElement[bool]:
    return or_(File.expires_at.is_(None), File.expires_at > time.time())


def _find(session: Session, project_id: str, file_id: str, *, param: str = "file_id") -> File:
    query = select(File).where(File.id == file_id, File.project_id == project_id, _is_live())
    file = session.scalar(query) if is_plain(file_id) else None
    if file is None:
        raise ObjectNotFoundError(f"No such File object: {file_id}", param=param, code="not_found")
    return file


def _file_ids(job: Job) -> set[str | None]:
    """Files that a job reads its rows from."""
    return {source.get("file_id") for source in (job.spec["training"], *job.spec.get("validation", ()))}
