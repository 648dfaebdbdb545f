"""What the routes share: one object, made once per server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tuneward.config import ConnectionConfig, ServerConfig
from tuneward.data.objects import ObjectStore
from tuneward.jobs.directory import ModelDirectory
from tuneward.jobs.files import FileService
from tuneward.jobs.models import ModelService
from tuneward.jobs.places import project_home
from tuneward.jobs.service import JobService
from tuneward.rewards.functions import FunctionRegistry
from tuneward.serve.auth import Authenticate
from tuneward.serve.catalog import Catalog
from tuneward.store.database import Database


@dataclass(frozen=True)
class Services:
    """The library behind the routes."""

    config: ServerConfig
    home: Path
    """Where files, jobs and functions of projects lie."""
    database: Database
    jobs: JobService
    files: FileService
    objects: ObjectStore
    models: ModelService
    directory: ModelDirectory
    catalog: Catalog
    authenticate: Authenticate
    judges: ConnectionConfig
    """Where graders that are models find theirs."""

    def functions(self, project_id: str) -> FunctionRegistry:
        """A project's reward functions."""
        return FunctionRegistry(project_home(self.home, project_id) / "functions", region=self.config.region)
