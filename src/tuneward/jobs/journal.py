"""What a job's process writes about its job: in order, fenced by its lease, and without training waiting for it."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.errors import StoreError
from tuneward.jobs.lease import Lease, LeaseLostError, held
from tuneward.jobs.service import add_event
from tuneward.store.database import Database
from tuneward.store.tables import Job, JobEvent

log = logging.getLogger(__name__)

T = TypeVar("T")

Afterwards = Callable[[], None]
Write = Callable[[Session, Job], Afterwards | None]
"""A piece of a transaction; what it returns is called once the transaction has been committed."""

BATCH = 64
"""Most pieces of one transaction."""

LONGEST_MESSAGE = 4000
"""Characters."""


class Journal:
    """Writes from a thread of its own; while the database is gone, what is to be written waits in memory.

    Args:
        database: the store.
        lease: of the job.
        on_lost: called in the journal's thread as soon as the lease is lost; ends the process.
        patience_s: how long `flush` and `write` wait for the database.
        check_s: how often the lease is looked at when there is nothing to write.
    """

    def __init__(
        self,
        database: Database,
        lease: Lease,
        *,
        on_lost: Callable[[LeaseLostError], None],
        patience_s: float = 600.0,
        check_s: float = 2.0,
    ):
        self._database = database
        self._lease = lease
        self._on_lost = on_lost
        self._patience_s = patience_s
        self._check_s = check_s
        self._waiting: deque[Write] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def add(self, write: Write) -> None:
        """Write soon, after everything that was added before."""
        with self._changed:
            self._waiting.append(write)
            self._changed.notify_all()

    def event(
        self,
        code: str,
        message: str,
        *,
        key: str | None = None,
        level: Literal["info", "warn", "error"] = "info",
        kind: Literal["message", "metrics"] = "message",
        data: dict[str, Any] | None = None,
    ) -> None:
        """Tell what happened, soon; only once in the life of the job for each key, which is the code if not given."""
        self.add(lambda session, job: tell(session, job, code, message, key=key, level=level, kind=kind, data=data))

    def flush(self) -> None:
        """Wait until everything is written. Raises StoreError after the journal's patience."""
        give_up_at = time.monotonic() + self._patience_s
        with self._changed:
            while self._waiting:
                left = give_up_at - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    raise StoreError(
                        f"{len(self._waiting)} entries about job {self._lease.job_id} could not be written."
                    )
                self._changed.wait(min(left, 1.0))

    def write(self, work: Callable[[Session, Job], T]) -> T:
        """Write now, after everything that was added before.

        Raises:
            LeaseLostError: somebody else has the job.
            StoreError: the database was gone for longer than the journal's patience.
        """
        self.flush()
        return self._database.write(
            lambda session: work(session, held(session, self._lease)), patience_s=self._patience_s
        )

    def close(self) -> None:
        """Stop the thread; what was not written is lost."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._waiting and not self._closed:
                    self._changed.wait(self._check_s)
                if self._closed:
                    return
                batch = [self._waiting[index] for index in range(min(BATCH, len(self._waiting)))]
            try:
                afterwards = self._commit(batch)
            except LeaseLostError as error:
                self._on_lost(error)
                return
            except StoreError as error:
                log.warning("job %s: %s Training goes on meanwhile.", self._lease.job_id, error)
                continue
            except Exception:
                # Trying again would not help, and nothing that came after it may be written without it.
                log.exception("job %s: its journal cannot go on", self._lease.job_id)
                self._on_lost(LeaseLostError(f"What happened in job {self._lease.job_id} cannot be written down."))
                return
            for call in afterwards:
                call()
            with self._changed:
                for _ in batch:
                    self._waiting.popleft()
                self._changed.notify_all()

    def _commit(self, batch: list[Write]) -> list[Afterwards]:
        def work(session: Session) -> list[Afterwards]:
            job = held(session, self._lease)
            return [after for write in batch if (after := write(session, job)) is not None]

        return self._database.write(work)


def tell(
    session: Session,
    job: Job,
    code: str,
    message: str,
    *,
    key: str | None = None,
    level: Literal["info", "warn", "error"] = "info",
    kind: Literal["message", "metrics"] = "message",
    data: dict[str, Any] | None = None,
) -> None:
    """Add an event unless the job has one of this key already; see `Journal.event`."""
    digest = hashlib.sha256(f"{job.id} {key or code}".encode()).hexdigest()
    event_id = f"ftevent-{digest[:24]}"
    if session.scalar(select(JobEvent.seq).where(JobEvent.id == event_id)) is None:
        add_event(session, job, code, clean(message), level=level, kind=kind, data=data, event_id=event_id)


def clean(message: str) -> str:
    """A text as every database takes it: valid Unicode without NUL, and not endless."""
    text = message.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 1]}…"
