"""Fixtures of databases; `tests/conftest.py` makes them known to every test.

`database` is a fresh one with its tables, once in SQLite and once in PostgreSQL: a test that takes it runs twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import Postgres, PostgresUnavailableError
from tuneward.store.database import Database
from tuneward.store.migrate import upgrade


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running server."""
    try:
        server = Postgres()
    except PostgresUnavailableError as error:
        pytest.skip(str(error))
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """Name of a database with its tables, to be copied."""
    name = postgres.create()
    made = Database(postgres.url(name))
    upgrade(made)
    made.close()
    return name


@pytest.fixture
def postgres_url(postgres: Postgres, postgres_template: str) -> Iterator[str]:
    """A fresh database with its tables."""
    name = postgres.create(postgres_template)
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the tables, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    made = Database(f"sqlite:///{path}")
    upgrade(made)
    made.close()  # the last connection puts everything into the one file
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of a fresh database with its tables."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    path = tmp_path / "database" / "tuneward.db"
    path.parent.mkdir()
    path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database with its tables."""
    made = Database(database_url)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table."""
    name = None
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        name = server.create()
        made = Database(server.url(name))
    else:
        made = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    yield made
    made.close()
    if name:
        server.drop(name)
