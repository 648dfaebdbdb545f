"""Looking through the events of a job, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

from tuneward.jobs.event_search import EventCount, EventQuery, count_events, find_events
from tuneward.jobs.service import add_event
from tuneward.store.database import Database
from tuneward.store.tables import Job, Project

EMPTY: dict[str, Any] = {"spec": {}, "request": {}, "phases": {}, "progress": {}, "result_files": []}
MESSAGES = ["Created a 100% job", "Naïve_Words, ÄRGER", "back\\slash", "back slash"]


@pytest.fixture
def job(database: Database) -> Job:
    made = Job(
        id="one", project_id="proj", created_by="key", name="one", state="running", dialect="openai", model="tiny",
        created_at=0.0, updated_at=0.0, **EMPTY,
    )  # fmt: skip

    def work(session: Session) -> None:
        session.add(Project(id="proj", name="proj", account_id="1", created_at=0.0))
        session.flush()
        session.add(made)
        session.flush()
        for message in MESSAGES:
            add_event(session, made, "note", message)
        add_event(session, made, "warning", "look", level="warn")
        add_event(session, made, "step", "Step 1", kind="metrics", data={"kind": "step", "step": 1})

    database.write(work)
    return made


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("CREATED", 1), ("100%", 1), ("0%j", 0), ("e_w", 1), ("eXw", 0), ("k\\s", 1), ("ÄRGER", 1), ("note", 4),
        ("\0", 0), ("\ud800", 0), ("%", 1), ("", 5),
    ],
)  # fmt: skip
def test_a_text_is_looked_for_as_it_is(database: Database, job: Job, text: str, found: int) -> None:
    assert len(find_events(database, job, EventQuery(contains=text)).items) == found


def test_pages_go_back_and_forth_in_time(database: Database, job: Job) -> None:
    everything = find_events(database, job, EventQuery(with_metrics=True)).items
    assert [event.code for event in everything] == ["step", "warning", "note", "note", "note", "note"]
    middle = everything[2].seq
    older = find_events(database, job, EventQuery(before=middle, limit=2))
    assert ([event.message for event in older.items], older.has_more) == ([MESSAGES[2], MESSAGES[1]], True)
    newer = find_events(database, job, EventQuery(after=middle, with_metrics=True))
    assert [event.code for event in newer.items] == ["step", "warning"]
    assert find_events(database, job, EventQuery(level="error")).items == []


def test_kinds_are_counted(database: Database, job: Job) -> None:
    assert count_events(database, job) == [
        EventCount("note", "info", 4),
        EventCount("step", "info", 1),
        EventCount("warning", "warn", 1),
    ]
