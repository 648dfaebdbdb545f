"""Jobs of two projects in a fresh database."""

from __future__ import annotations

import pytest
from tests.some_jobs import MINE, OTHER

from tuneward.jobs.service import JobService
from tuneward.store.database import Database
from tuneward.store.tables import Project


@pytest.fixture
def jobs(database: Database) -> JobService:
    for principal in (MINE, OTHER):
        row = Project(
            id=principal.project_id, name=principal.project_id, account_id=principal.account_id, created_at=0.0
        )
        database.write(lambda session, row=row: session.add(row))  # type: ignore[misc]
    return JobService(database)
