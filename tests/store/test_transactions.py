"""Work on the database is done whole or not at all, and waits out what passes by itself."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session
from tests.postgresql import Postgres

from tuneward.errors import ConfigError, StoreError
from tuneward.store.database import Database
from tuneward.store.tables import Base, Job, Project, Tag


def tag(key: str, value: str = "") -> Tag:
    return Tag(arn="a", key=key, value=value)


def keys(database: Database) -> list[str]:
    return list(database.read(lambda session: session.scalars(select(Tag.key).order_by(Tag.key)).all()))


def test_work_that_fails_leaves_nothing(database: Database) -> None:
    def work(session: Session) -> None:
        session.add(tag("one"))
        session.flush()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.write(work)
    assert keys(database) == []


def test_objects_stay_usable_after_their_transaction(database: Database) -> None:
    made = database.write(lambda session: session.merge(tag("one", "1")))
    assert made.value == "1"


def test_writers_at_the_same_time_lose_nothing(database: Database) -> None:
    database.write(lambda session: session.add(tag("count", "0")))

    def count(session: Session) -> None:
        row = session.scalars(select(Tag).where(Tag.key == "count").with_for_update()).one()
        row.value = str(int(row.value) + 1)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(database.write, count, patience_s=60) for _ in range(80)]:
            done.result()
    assert database.read(lambda session: session.scalar(select(Tag.value))) == "80"


def test_who_looks_and_then_makes_is_not_overtaken(database: Database) -> None:
    ready = threading.Barrier(8)
    made = []

    def work(session: Session) -> None:
        if session.get(Tag, ("a", "one")) is None:
            session.add(tag("one"))
            session.flush()
            made.append(1)

    def race() -> None:
        ready.wait()
        database.write(work, patience_s=60)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(race) for _ in range(8)]:
            done.result()
    assert keys(database) == ["one"]


def test_what_is_never_right_is_told_at_once(database: Database) -> None:
    with pytest.raises((OperationalError, ProgrammingError)):
        database.read(lambda session: session.execute(text("SELECT * FROM nothing")), patience_s=1e9)


def test_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    path, tried = tmp_path / "locked.db", threading.Event()
    database = Database(f"sqlite:///{path}")
    Base.metadata.create_all(database.engine)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: (tried.set(), database.write(lambda session: session.add(tag("one")))))
        tried.wait()
        other.execute("COMMIT")
        waiting.result()
    assert keys(database) == ["one"]
    other.close()
    database.close()


def test_a_file_that_stays_locked_is_given_up_when_patience_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneward.store.database.BUSY_S", 0.05)
    path = tmp_path / "locked.db"
    database = Database(f"sqlite:///{path}", patience_s=0.2)
    Base.metadata.create_all(database.engine)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"cannot be used at the moment .*locked"):
        database.write(lambda session: session.add(tag("one")))
    assert keys(database) == []  # readers need not wait
    other.close()
    database.write(lambda session: session.add(tag("one")))
    database.close()


def test_a_restart_of_postgresql_is_waited_out() -> None:
    server = Postgres()
    try:
        database = Database(server.url(server.create()), patience_s=60)
        Base.metadata.create_all(database.engine)
        database.write(lambda session: session.add(tag("before")))
        server.kill()
        tried = threading.Event()

        def work(session: Session) -> None:
            session.add(tag("after"))

        def write() -> None:
            tried.set()
            database.write(work)

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(write)
            tried.wait()
            with pytest.raises(StoreError):
                database.read(lambda session: session.scalar(select(Tag.key)), patience_s=0.1)
            server.start()
            waiting.result()
        assert keys(database) == ["after", "before"]
        database.close()
    finally:
        server.close()


def test_a_killed_connection_is_replaced(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.write(lambda session: session.add(tag("one")))
    other = Database(postgres_url)
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    other.read(lambda session: session.execute(text(f"SELECT pg_terminate_backend(pid) {others}")))
    database.write(lambda session: session.add(tag("two")))
    assert keys(database) == ["one", "two"]
    other.close()
    database.close()


def test_values_that_no_database_holds_are_replaced_and_found_again(database: Database) -> None:
    odd = "zero \0 half \ud800 whole \U0001f600"
    metadata = {"k\0": [odd, float("nan"), "\\u0000 written out"]}

    def work(session: Session) -> None:
        session.add(Project(id="p", name=odd, account_id="0", created_at=0.0))
        session.flush()
        session.add(job("j", "p", metadata))

    database.write(work)
    found = database.read(lambda session: session.scalar(select(Project).where(Project.name == odd)))
    assert found is not None
    assert found.name == "zero � half � whole \U0001f600"
    stored = database.read(lambda session: session.get_one(Job, "j").user_metadata)
    assert stored == {"k�": [found.name, None, "\\u0000 written out"]}
    value = Job.user_metadata["k�"].as_string()
    assert database.read(lambda session: session.scalar(select(value))) is not None
    assert database.read(lambda session: session.get(Job, "\0" + "x" * 1_000_000)) is None


def test_numbers_beyond_64_bits_end_nothing(database: Database) -> None:
    assert database.read(lambda session: session.scalars(select(Job.id).limit(10**30)).all()) == []
    assert database.read(lambda session: session.scalar(select(Job.id).where(Job.lease_token > 10**30))) is None


def test_an_unknown_kind_of_database_is_refused() -> None:
    with pytest.raises(ConfigError, match="mysql"):
        Database("mysql://localhost/x")


def job(job_id: str, project: str, metadata: dict[str, object]) -> Job:
    return Job(
        id=job_id, project_id=project, created_by="key", name=job_id, state="queued", dialect="openai", model="m",
        spec={}, request={}, user_metadata=metadata, created_at=0.0, updated_at=0.0, phases={}, progress={},
        result_files=[],
    )  # fmt: skip
