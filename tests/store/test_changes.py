"""What a look at the watched jobs finds, and how few queries it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session
from tests.some_jobs import MINE, NEW, OTHER
from tests.store.job_rows import add_jobs, job_row

import tuneward.jobs.changes as changes
from tuneward.jobs.changes import ChangeReader, Changes
from tuneward.jobs.service import JobService, add_event, find_job
from tuneward.jobs.states import Action
from tuneward.store.database import Database
from tuneward.store.tables import Job


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The queries that are made within the block."""
    made: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT") and "pg_catalog" not in statement:
            made.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield made
    event.remove(database.engine, "before_cursor_execute", note)


def say(database: Database, job: Job, *messages: str) -> None:
    def work(session: Session) -> None:
        row = find_job(session, MINE.project_id, job.id)
        for message in messages:
            add_event(session, row, "said", message)

    database.write(work)


def ids(found: Changes) -> list[str]:
    return sorted(card.id.removeprefix("ftjob-") for _, card in found.cards)


def messages(found: Changes) -> list[str]:
    return [event.message for event in found.events]


MINES = {MINE.project_id}


def test_the_first_look_finds_what_has_not_ended_and_the_next_nothing(database: Database, jobs: JobService) -> None:
    add_jobs(database, job_row(1, state="succeeded"), job_row(2, state="running"), job_row(3, state="paused"))
    jobs.create(OTHER, NEW)
    reader = ChangeReader(database)
    found = reader.look(MINES, {})
    assert ids(found) == ["job000000002", "job000000003"]
    assert found.counts == {MINE.project_id: {"succeeded": 1, "running": 1, "paused": 1}}
    assert reader.look(MINES, {}) == Changes()


def test_every_kind_of_change_is_found_once(database: Database, jobs: JobService) -> None:
    reader = ChangeReader(database)
    reader.look(MINES, {})
    job = jobs.create(MINE, NEW)
    assert reader.look(MINES, {}).counts == {MINE.project_id: {"validating": 1}}
    say(database, job, "hello")
    told = reader.look(MINES, {})
    assert (ids(told), told.counts) == ([job.id], {})
    jobs.act(MINE.project_id, job.id, Action.CANCEL)
    ended = reader.look(MINES, {})
    assert [card.state for _, card in ended.cards] == ["cancelled"]
    assert ended.counts == {MINE.project_id: {"cancelled": 1}}
    assert reader.look(MINES, {}) == Changes()


def test_a_job_that_ends_long_after_it_was_created_is_found(database: Database, jobs: JobService) -> None:
    add_jobs(database, job_row(1, state="running"))
    reader = ChangeReader(database)
    reader.look(MINES, {})
    jobs.act(MINE.project_id, "job000000001", Action.CANCEL)
    assert [card.state for _, card in reader.look(MINES, {}).cards] == ["cancelled"]


def test_a_job_that_has_come_and_gone_between_two_looks_is_found(database: Database, jobs: JobService) -> None:
    reader = ChangeReader(database)
    reader.look(MINES, {})
    job = jobs.create(MINE, NEW)
    jobs.act(MINE.project_id, job.id, Action.CANCEL)
    assert ids(reader.look(MINES, {})) == [job.id]


def test_a_clock_that_is_behind_hides_nothing(database: Database, jobs: JobService) -> None:
    """Workers on several machines need not agree about the time."""
    job = jobs.create(MINE, NEW)
    reader = ChangeReader(database)
    reader.look(MINES, {})

    def change(session: Session) -> None:
        find_job(session, MINE.project_id, job.id).updated_at -= 3600

    database.write(change)
    assert ids(reader.look(MINES, {})) == [job.id]


def test_events_of_watched_jobs_come_after_the_known_ones(database: Database, jobs: JobService) -> None:
    job, other = jobs.create(MINE, NEW), jobs.create(MINE, NEW)
    say(database, other, "of the other")
    first = ChangeReader(database).look(set(), {job.id: 0}).events[-1].seq
    reader = ChangeReader(database)
    assert messages(reader.look(set(), {job.id: first})) == []
    say(database, job, "one", "two")
    found = reader.look(set(), {job.id: first})
    assert messages(found) == ["one", "two"]
    say(database, job, "three")
    assert messages(reader.look(set(), {job.id: found.events[-1].seq})) == ["three"]


def test_a_job_that_was_known_as_a_card_alone_is_read_when_its_events_are_wanted(
    database: Database, jobs: JobService
) -> None:
    job = jobs.create(MINE, NEW)
    reader = ChangeReader(database)
    reader.look(MINES, {})
    say(database, job, "while nobody watched its events")
    reader.look(MINES, {})
    seq = jobs.events(MINE.project_id, job.id).items[-1].seq
    assert messages(reader.look(MINES, {job.id: seq})) == ["while nobody watched its events"]


def test_more_events_than_one_look_takes_come_with_the_next(
    database: Database, jobs: JobService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_EVENTS", 3)
    job = jobs.create(MINE, NEW)
    reader, seq = ChangeReader(database), 0
    say(database, job, *(str(number) for number in range(7)))
    read = []
    for _ in range(3):
        found = reader.look(set(), {job.id: seq})
        read += messages(found)
        seq = found.events[-1].seq
    assert read[1:] == [str(number) for number in range(7)]


@pytest.mark.usefixtures("jobs")
def test_a_look_that_finds_nothing_is_one_query_whatever_is_watched(database: Database) -> None:
    add_jobs(database, *(job_row(number, state="running") for number in range(30)))
    watched = {f"job{number:09}": 0 for number in range(20)}
    reader = ChangeReader(database)
    reader.look(MINES, watched)
    with counted(database) as queries:
        reader.look(MINES, watched)
    assert len(queries) == 1


def test_a_look_that_finds_something_is_four_queries(database: Database, jobs: JobService) -> None:
    made = [jobs.create(MINE, NEW) for _ in range(5)]
    with counted(database) as queries:
        found = ChangeReader(database).look(MINES, {job.id: 0 for job in made})
    assert len(found.events) == len(made)
    assert len(queries) == 4
