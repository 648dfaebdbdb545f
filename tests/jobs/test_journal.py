"""The journal of a job's process: in order, once, nothing lost while the database is gone, and only with the lease."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from tests.jobs.engine import Engine, wait_for

from tuneward.errors import StoreError
from tuneward.jobs.journal import LONGEST_MESSAGE, Journal, clean
from tuneward.jobs.lease import LeaseLostError
from tuneward.jobs.queue import JobQueue
from tuneward.jobs.states import Action
from tuneward.store.database import Database


@dataclass
class Kept:
    """A journal and what it said when its lease was lost."""

    journal: Journal
    lost: list[LeaseLostError] = field(default_factory=list)


@contextmanager
def journal_of(engine: Engine, *, patience_s: float = 60.0, check_s: float = 60.0) -> Iterator[Kept]:
    """The journal of the waiting job."""
    claim = JobQueue(engine.database, "worker").claim("validation")
    assert claim is not None
    database, lost = Database(engine.database.url, patience_s=0.1), []
    journal = Journal(database, claim.lease, on_lost=lost.append, patience_s=patience_s, check_s=check_s)
    try:
        yield Kept(journal, lost)
    finally:
        journal.close()
        database.close()


@contextmanager
def locked(engine: Engine) -> Iterator[None]:
    """Something else writes, and does not end."""
    other = sqlite3.connect(engine.database.url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneward.store.database.BUSY_S", 0.1)


def notes(engine: Engine, job_id: str) -> list[str]:
    return [event.message for event in engine.events(job_id) if event.code == "note"]


def test_events_wait_in_order_while_the_database_is_locked(engine: Engine) -> None:
    job_id = engine.submit()
    told = [f"event {number}" for number in range(200)]
    with journal_of(engine) as kept:
        with locked(engine):
            for message in told:
                kept.journal.event("note", message, key=message)
            assert notes(engine, job_id) == []
        kept.journal.flush()
        assert notes(engine, job_id) == told
        assert not kept.lost


def test_event_of_one_key_is_told_once(engine: Engine) -> None:
    job_id = engine.submit()
    with journal_of(engine) as kept:
        for _ in range(3):
            kept.journal.event("note", "step 1", key="step 1")
        kept.journal.event("note", "step 2", key="step 2")
        kept.journal.flush()
    assert notes(engine, job_id) == ["step 1", "step 2"]


def test_writing_now_comes_after_everything_before(engine: Engine) -> None:
    job_id = engine.submit()
    with journal_of(engine) as kept:
        kept.journal.event("note", "before")
        seen = kept.journal.write(lambda _session, job: (job.id, len(notes(engine, job.id))))
    assert seen == (job_id, 1)


def test_patience_has_an_end(engine: Engine) -> None:
    engine.submit()
    with journal_of(engine, patience_s=0.5) as kept, locked(engine):
        kept.journal.event("note", "never")
        with pytest.raises(StoreError, match="could not be written"):
            kept.journal.flush()


def test_lost_lease_is_noticed_without_anything_to_write(engine: Engine) -> None:
    job_id = engine.submit()
    with journal_of(engine, check_s=0.05) as kept:
        engine.jobs.act("proj_mine", job_id, Action.CANCEL)
        (error,) = wait_for(lambda: kept.lost)
    assert "cancelled" in str(error)


def test_nothing_is_written_without_the_lease(engine: Engine) -> None:
    job_id = engine.submit()
    with journal_of(engine) as kept:
        engine.jobs.act("proj_mine", job_id, Action.CANCEL)
        kept.journal.event("note", "too late")
        wait_for(lambda: kept.lost)
    assert notes(engine, job_id) == []


def test_piece_that_cannot_be_written_ends_the_process_instead_of_being_left_out(engine: Engine) -> None:
    engine.submit()
    with journal_of(engine) as kept:
        kept.journal.add(lambda _session, job: setattr(job, "progress", {"bad": object()}))
        (error,) = wait_for(lambda: kept.lost)
    assert "cannot be written" in str(error)


def test_what_is_to_happen_afterwards_happens_after_the_commit(engine: Engine) -> None:
    job_id = engine.submit()
    seen: list[int] = []
    with journal_of(engine) as kept:

        def write(_session: object, job: object) -> object:
            job.attempts = 3  # type: ignore[attr-defined]
            return lambda: seen.append(engine.job(job_id).attempts)

        kept.journal.add(write)  # type: ignore[arg-type]
        kept.journal.flush()
    assert seen == [3]


def test_messages_are_made_fit_for_every_database() -> None:
    assert clean("a\0b") == "a�b"
    assert clean("half of a pair: \ud800") == "half of a pair: ?"
    assert len(clean("x" * 10_000)) == LONGEST_MESSAGE
