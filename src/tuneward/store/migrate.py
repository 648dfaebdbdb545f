"""Brings the tables of a database to the form that this program knows."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.orm import Session

from tuneward.errors import ConfigError
from tuneward.store.database import Database

_MIGRATING = 0x74756E64
"""Advisory lock of PostgreSQL."""

PATIENCE_S = 60.0
"""How long to wait for another process that is migrating."""


def upgrade(database: Database) -> None:
    """Make or change the tables as the newest migration wants them; processes may do so at the same time.

    Raises:
        ConfigError: a newer program has changed the database already.
        StoreError: the database cannot be reached, or is locked for longer than a minute.
    """
    config = _config()
    script = ScriptDirectory.from_config(config)
    newest = script.get_current_head()
    if database.read(_revision) == newest:
        return

    def work(session: Session) -> None:
        # One process at a time: SQLite's writing transactions exclude each other by themselves.
        if not database.is_sqlite:
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
        found = _revision(session)
        known = {revision.revision for revision in script.walk_revisions()}
        if found is not None and found not in known:
            raise ConfigError(
                f"database: a newer Tuneward has changed it (its form is {found}, this program knows up to {newest}). "
                "Start that version, or restore a backup from before."
            )
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "head")

    database.write(work, patience_s=PATIENCE_S)


def draft(message: str) -> Path:
    """Write the next migration: from what the tables have and the migrations have not. To be read before it is kept."""
    config = _config()
    number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
    with TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/draft.db")
        upgrade(database)

        def work(session: Session) -> Any:
            config.attributes["connection"] = session.connection()
            return command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")

        made = database.read(work)
        database.close()
    return Path(made.path)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "tuneward.store:migrations")
    return config


def _revision(session: Session) -> str | None:
    """The migration that the database stands at; None: it is empty."""
    return MigrationContext.configure(session.connection()).get_current_revision()
