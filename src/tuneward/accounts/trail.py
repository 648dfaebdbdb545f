"""The audit log: written in batches by a thread of its own, so that no request waits for it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from sqlalchemy import insert, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from tuneward.errors import StoreError
from tuneward.store.database import Database
from tuneward.store.tables import AuditEntry

_log = logging.getLogger(__name__)

MOST_WAITING = 10_000
"""Entries that may wait while the database cannot be reached; later ones are lost, and the log says how many."""
MOST_AT_ONCE = 500
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Act:
    """One thing somebody did, or was refused."""

    at: float
    project_id: str | None
    actor: str
    """Id of the key, or `anonymous`."""
    action: str
    """Method and route."""
    target: str
    """Path, percent-encoded, without the query."""
    status: int
    request_id: str


class Trail:
    """Takes notes at once and writes them soon; threads may share it."""

    def __init__(self, database: Database):
        self._database = database
        self._waiting: queue.Queue[Act | threading.Event | None] = queue.Queue(MOST_WAITING)
        self._lost = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = threading.Event()

    def note(self, act: Act) -> None:
        """Keep it; never waits."""
        self._start()
        try:
            self._waiting.put_nowait(act)
        except queue.Full:
            self._lost += 1

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until all that was noted before is written. Returns whether it is."""
        if self._thread is None:
            return True
        done = threading.Event()
        try:
            self._waiting.put(done, timeout=timeout_s)
        except queue.Full:
            return False
        return done.wait(timeout_s)

    def close(self) -> None:
        """Write what waits, and stop. Safe to call twice."""
        self._is_closed.set()
        if self._thread is not None and self._thread.is_alive():
            with suppress(queue.Full):
                self._waiting.put(None, timeout=5)
            self._thread.join(timeout=5)

    def entries(
        self,
        project_id: str | None,
        *,
        limit: int,
        before: int | None = None,
        search: str | None = None,
        is_refused: bool = False,
    ) -> Sequence[AuditEntry]:
        """Newest first.

        Args:
            project_id: whose; None: everybody's and nobody's.
            limit: most entries.
            before: only those with a smaller id.
            search: part of an actor, an action or a target; letter case does not matter.
            is_refused: only those with a status of 400 and more.
        """
        query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
        if project_id is not None:
            query = query.where(AuditEntry.project_id == project_id)
        if before is not None:
            query = query.where(AuditEntry.id < before)
        if search:
            texts = (AuditEntry.actor, AuditEntry.action, AuditEntry.target)
            query = query.where(or_(*(text.icontains(search, autoescape=True) for text in texts)))
        if is_refused:
            query = query.where(AuditEntry.status >= 400)
        return self._database.read(lambda session: session.scalars(query).all())

    def _start(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._write_all, name="audit-log", daemon=True)
                    self._thread.start()

    def _write_all(self) -> None:
        while True:
            batch = self._next_batch()
            acts = [item for item in batch if isinstance(item, Act)]
            if acts:
                self._write(acts)
            for item in batch:
                if isinstance(item, threading.Event):
                    item.set()
            if None in batch:
                return

    def _next_batch(self) -> list[Act | threading.Event | None]:
        batch = [self._waiting.get()]
        while len(batch) < MOST_AT_ONCE:
            try:
                batch.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return batch

    def _write(self, acts: list[Act]) -> None:
        rows = [asdict(act) for act in acts]

        def work(session: Session) -> None:
            session.execute(insert(AuditEntry), rows)

        while True:
            try:
                self._database.write(work)
                break
            except (StoreError, SQLAlchemyError) as error:
                if not isinstance(error, StoreError) or self._is_closed.wait(RETRY_S):
                    _log.error("%d entries of the audit log are lost (%s).", len(acts), error)
                    return
        if self._lost:
            _log.error("%d entries of the audit log are lost, because more came than could be written.", self._lost)
            self._lost = 0
