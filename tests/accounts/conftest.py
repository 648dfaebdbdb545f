"""A database with a project of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tuneward.accounts.projects import ensure_default_project
from tuneward.store.database import Database
from tuneward.store.migrate import upgrade


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'accounts.db'}")
    upgrade(made)
    ensure_default_project(made)
    yield made
    made.close()
