"""Where a server keeps what belongs to projects.

HOME/projects/PROJECT/files/FILE               uploaded and produced files
HOME/projects/PROJECT/uploads/UPLOAD/PART      parts of files that are not complete yet
HOME/projects/PROJECT/jobs/JOB/run/            the run folder of a job
HOME/projects/PROJECT/jobs/JOB/inputs/         its rows, fetched and converted
HOME/projects/PROJECT/jobs/JOB/adapters/step-N adapters of checkpoints that can be served
HOME/projects/PROJECT/functions/               reward functions; those of the first project lie where the commands of
                                               `tuneward functions` keep them
"""

from __future__ import annotations

from pathlib import Path

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.accounts.projects import ensure_default_project
from tuneward.config import ServerConfig
from tuneward.home import data_home
from tuneward.rewards.functions.shelf import default_root
from tuneward.store.database import Database
from tuneward.store.migrate import upgrade


def home_of(config: ServerConfig) -> Path:
    """Where a server keeps files, jobs and functions, and its database unless it has another."""
    return (config.home or data_home() / "server").resolve()


def database_url(config: ServerConfig) -> str:
    """Of the server's database, as `Database` takes it."""
    return config.database or f"sqlite:///{home_of(config) / 'tuneward.db'}"


def open_database(config: ServerConfig) -> Database:
    """The database that a configuration names, with its tables. Raises ConfigError, StoreError."""
    database = Database(database_url(config))
    upgrade(database)
    ensure_default_project(database)
    return database


def project_home(home: Path, project_id: str) -> Path:
    """A project's folder in the home of a server; it need not exist yet."""
    return home / "projects" / project_id


def job_home(home: Path, project_id: str, job_id: str) -> Path:
    """A job's folder; it need not exist yet."""
    return project_home(home, project_id) / "jobs" / job_id


def functions_home(home: Path, project_id: str) -> Path:
    """Folder of a project's reward functions; it need not exist yet."""
    return default_root() if project_id == DEFAULT_PROJECT else project_home(home, project_id) / "functions"
