"""Rows of jobs, as many as wanted, written straight into a database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert
from tests.some_jobs import MINE

from tuneward.store.database import Database
from tuneward.store.tables import Job

CREATED_AT = 1_700_000_000.0


def job_row(number: int, **changes: Any) -> dict[str, Any]:
    """Job `number`: those with higher numbers are newer."""
    spec = {"method": "reinforcement", "base_model": "tiny", "training": {"kind": "file", "file_id": "file-1"}}
    row = {
        "id": f"job{number:09}",
        "project_id": MINE.project_id,
        "created_by": "key_1",
        "name": f"job {number}",
        "state": "succeeded",
        "dialect": "openai",
        "model": "tiny",
        "spec": spec | changes.pop("spec", {}),
        "request": {},
        "user_metadata": None,
        "created_at": CREATED_AT + number,
        "updated_at": CREATED_AT + number,
        "phases": {},
        "progress": {},
        "error": None,
        "result_files": [],
    }
    return row | changes


def add_jobs(database: Database, *rows: dict[str, Any]) -> None:
    database.write(lambda session: session.execute(insert(Job), list(rows)))
