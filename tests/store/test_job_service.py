"""Jobs in both databases: made once for a token, listed in stable pages, seen by their project alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from sqlalchemy import func, select
from tests.some_jobs import MINE, NEW, OTHER

from tuneward.jobs.problems import ConflictError, LimitExceededError, ObjectNotFoundError
from tuneward.jobs.service import JobQuery, JobService, add_event, find_job
from tuneward.jobs.states import Action
from tuneward.store.database import Database
from tuneward.store.tables import Job, JobEvent

T = TypeVar("T")


def count(database: Database, table: Any) -> int:
    return database.read(lambda session: session.scalar(select(func.count()).select_from(table))) or 0


def together(threads: int, work: Callable[[], T]) -> list[T]:
    """Do work in so many threads that begin at the same moment."""
    ready = threading.Barrier(threads)

    def begin() -> T:
        ready.wait()
        return work()

    with ThreadPoolExecutor(threads) as pool:
        return [done.result() for done in [pool.submit(begin) for _ in range(threads)]]


def names(jobs: JobService, **query: Any) -> list[str]:
    return [job.name for job in jobs.list(MINE.project_id, JobQuery(**{"oldest_first": True, **query})).items]


def test_a_repeated_request_makes_one_job(jobs: JobService, database: Database) -> None:
    first = jobs.create(MINE, replace(NEW, token="t"))
    again = jobs.create(MINE, replace(NEW, token="t"))
    assert again.id == first.id
    assert count(database, Job) == count(database, JobEvent) == 1
    assert jobs.create(OTHER, replace(NEW, token="t")).id != first.id


def test_repeated_requests_at_the_same_time_make_one_job(jobs: JobService, database: Database) -> None:
    rounds = 5
    for number in range(rounds):
        new = replace(NEW, token=f"t{number}", name=f"n{number}")
        assert len({job.id for job in together(6, lambda new=new: jobs.create(MINE, new))}) == 1  # type: ignore[misc]
    assert count(database, Job) == rounds


def test_requests_at_the_same_time_do_not_pass_the_limit(database: Database, jobs: JobService) -> None:
    few = JobService(database, active_jobs=3)

    def create() -> None:
        with contextlib.suppress(LimitExceededError):
            few.create(MINE, NEW)

    together(8, create)
    assert count(database, Job) == 3
    jobs.create(OTHER, NEW)


def test_a_name_is_taken_once_in_a_project(jobs: JobService) -> None:
    jobs.create(MINE, replace(NEW, name="n"))
    with pytest.raises(ConflictError, match='"n" exists already'):
        jobs.create(MINE, replace(NEW, name="n"))
    jobs.create(OTHER, replace(NEW, name="n"))


def test_jobs_that_have_not_ended_are_limited(database: Database, jobs: JobService) -> None:
    few = JobService(database, active_jobs=2)
    made = [few.create(MINE, NEW) for _ in range(2)]
    with pytest.raises(LimitExceededError):
        few.create(MINE, NEW)
    jobs.act(MINE.project_id, made[0].id, Action.CANCEL)
    few.create(MINE, NEW)


def test_pages_stay_right_while_jobs_are_added(jobs: JobService) -> None:
    made = [jobs.create(MINE, replace(NEW, name=f"n{number}")) for number in range(7)]
    seen, page, last = [], None, None
    while page is None or page.has_more:
        page = jobs.list(MINE.project_id, JobQuery(limit=3, after=last))
        seen += [job.name for job in page.items]
        last = page.items[-1].id
        jobs.create(MINE, NEW)
    assert seen == [job.name for job in reversed(made)]


def test_jobs_of_the_same_moment_are_each_listed_once(database: Database, jobs: JobService) -> None:
    for _ in range(5):
        jobs.create(MINE, NEW)

    def at_once(session: Any) -> None:
        for job in session.scalars(select(Job)):
            job.created_at = 1.0

    database.write(at_once)
    everything = names(jobs, limit=5)
    first = jobs.list(MINE.project_id, JobQuery(limit=2, oldest_first=True)).items
    rest = names(jobs, limit=5, after=first[-1].id)
    assert [job.name for job in first] + rest == everything


@pytest.mark.parametrize("key", ["plain", "with.dot", 'with "quotes"', "with 'quotes'", "ünïcode", "0", "$", "a b[0]"])
def test_metadata_of_any_key_is_found(jobs: JobService, key: str) -> None:
    jobs.create(MINE, replace(NEW, name="this", user_metadata={key: "v", "other": "1"}))
    jobs.create(MINE, replace(NEW, name="that", user_metadata={key: "w"}))
    jobs.create(MINE, replace(NEW, name="none"))
    assert names(jobs, metadata={key: "v"}) == ["this"]
    assert names(jobs, metadata={key: "v", "other": "2"}) == []


def test_jobs_without_metadata_are_found(jobs: JobService) -> None:
    jobs.create(MINE, replace(NEW, name="some", user_metadata={"a": "1"}))
    jobs.create(MINE, replace(NEW, name="empty", user_metadata={}))
    jobs.create(MINE, replace(NEW, name="none"))
    assert names(jobs, without_metadata=True) == ["empty", "none"]


def test_jobs_are_found_by_part_of_their_name_whatever_its_characters(jobs: JobService) -> None:
    for name in ("a%b", "a_b", "axb", "a\\b"):
        jobs.create(MINE, replace(NEW, name=name))
    assert names(jobs, name_contains="%") == ["a%b"]
    assert names(jobs, name_contains="_") == ["a_b"]
    assert names(jobs, name_contains="\\") == ["a\\b"]
    assert names(jobs, states=frozenset({"queued"})) == []


def test_another_projects_job_looks_like_a_missing_one(jobs: JobService) -> None:
    job = jobs.create(MINE, replace(NEW, name="n"))
    for name in (job.id, f"ftjob-{job.id}", "n", "zero \0 byte", "half \ud800", "x" * 1_000_000):
        with pytest.raises(ObjectNotFoundError):
            jobs.get(OTHER.project_id, name)
        with pytest.raises(ObjectNotFoundError):
            jobs.act(OTHER.project_id, name, Action.CANCEL)
        with pytest.raises(ObjectNotFoundError):
            jobs.events(OTHER.project_id, name)
        with pytest.raises(ObjectNotFoundError):
            jobs.checkpoints(OTHER.project_id, name)
        with pytest.raises(ObjectNotFoundError):
            jobs.list(OTHER.project_id, JobQuery(after=name))


def test_odd_and_huge_text_is_kept(jobs: JobService, database: Database) -> None:
    huge = "x" * 5_000_000
    metadata = {"zero \0": "half \ud800", "huge": huge}
    job = jobs.create(MINE, replace(NEW, name="n", user_metadata=metadata, request={"prompt": "\0"}, token="\0"))
    assert jobs.create(MINE, replace(NEW, token="\0")).id == job.id
    stored = jobs.get(MINE.project_id, "n")
    assert stored.user_metadata == {"zero �": "half �", "huge": huge}
    assert names(jobs, metadata={"huge": "y"}) == []

    def say(session: Any) -> None:
        found = find_job(session, MINE.project_id, "n")
        add_event(session, found, "error", "said \0", data={"loss": float("nan"), "step": 10**30})

    database.write(say)
    newest = jobs.events(MINE.project_id, "n").items[0]
    assert (newest.message, newest.data) == ("said �", {"loss": None, "step": 10**30})


def test_events_come_in_pages_in_both_orders(jobs: JobService, database: Database) -> None:
    job = jobs.create(MINE, NEW)

    def say(session: Any) -> None:
        for number in range(5):
            add_event(session, find_job(session, MINE.project_id, job.id), "note", str(number))

    database.write(say)
    newest = jobs.events(MINE.project_id, job.id, limit=2)
    assert ([event.message for event in newest.items], newest.has_more) == (["4", "3"], True)
    after = jobs.events(MINE.project_id, job.id, limit=9, after_id=newest.items[-1].id)
    assert [event.message for event in after.items][:3] == ["2", "1", "0"]
    oldest = jobs.events(MINE.project_id, job.id, oldest_first=True)
    assert [event.message for event in oldest.items][1:] == ["0", "1", "2", "3", "4"]
    with pytest.raises(ObjectNotFoundError):
        jobs.events(MINE.project_id, job.id, after_id="ftevent-of-nobody")
