"""From a configuration to the services of a server."""

from __future__ import annotations

from pathlib import Path

from tuneward.config import ConnectionConfig, ServerConfig
from tuneward.data.objects import ObjectStore
from tuneward.home import data_home
from tuneward.jobs.directory import ModelDirectory
from tuneward.jobs.files import FileService
from tuneward.jobs.models import ModelService
from tuneward.jobs.service import JobService
from tuneward.serve.auth import Authenticate
from tuneward.serve.catalog import Catalog
from tuneward.serve.services import Services
from tuneward.store.database import Database


def home_of(config: ServerConfig) -> Path:
    """Where a server keeps files, jobs and functions, and its database unless it has another."""
    return (config.home or data_home() / "server").resolve()


def open_database(config: ServerConfig) -> Database:
    """The database that a configuration names, with its tables. Raises ConfigError, StoreError."""
    database = Database(config.database or f"sqlite:///{home_of(config) / 'tuneward.db'}")
    database.create_tables()
    return database


def build_services(
    config: ServerConfig,
    catalog: Catalog,
    authenticate: Authenticate,
    *,
    judges: ConnectionConfig | None = None,
) -> Services:
    """The services of a server.

    Args:
        config: of the server.
        catalog: what it serves.
        authenticate: who may call.
        judges: where graders that are models find theirs, unless the configuration says.

    Raises:
        ConfigError, StoreError: as `open_database` and `ModelDirectory`.
    """
    home = home_of(config)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(config)
    return Services(
        config,
        home,
        database,
        JobService(database, active_jobs=config.limits.active_jobs),
        FileService(database, home, largest_bytes=config.limits.upload_bytes),
        ObjectStore(config.storage),
        ModelService(database, home),
        ModelDirectory(config),
        catalog,
        authenticate,
        config.judges or judges or ConnectionConfig(),
    )
