"""Migrations make exactly the tables that the program knows, once, whoever starts at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from tuneward.errors import ConfigError
from tuneward.store.database import Database
from tuneward.store.migrate import upgrade
from tuneward.store.tables import Base


def test_migrations_and_tables_agree(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_an_empty_database_gets_its_tables(empty_database: Database) -> None:
    upgrade(empty_database)
    assert {"projects", "jobs", "job_events", "alembic_version"} <= set(
        inspect(empty_database.engine).get_table_names()
    )
    upgrade(empty_database)


def test_processes_that_start_together_migrate_once(empty_database: Database) -> None:
    others = [Database(empty_database.url) for _ in range(4)]
    ready = threading.Barrier(len(others))

    def start(other: Database) -> None:
        ready.wait()
        upgrade(other)

    with ThreadPoolExecutor(len(others)) as pool:
        for done in [pool.submit(start, other) for other in others]:
            done.result()
    for other in others:
        other.close()
    revisions = empty_database.read(
        lambda session: session.scalars(text("SELECT version_num FROM alembic_version")).all()
    )
    assert len(revisions) == 1


def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    database.write(lambda session: session.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(ConfigError, match="newer Tuneward has changed it"):
        upgrade(database)
