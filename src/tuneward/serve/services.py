"""What the routes share: one object, made once per server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tuneward.config import ConnectionConfig, ServerConfig
from tuneward.data.objects import ObjectStore
from tuneward.jobs.deployments import DeploymentService
from tuneward.jobs.directory import ModelDirectory
from tuneward.jobs.files import FileService
from tuneward.jobs.models import ModelService
from tuneward.jobs.places import functions_home
from tuneward.jobs.service import JobService
from tuneward.jobs.uploads import UploadService
from tuneward.rewards.functions import FunctionRegistry, WarmFunctions
from tuneward.rewards.functions.reference import LOCAL_ACCOUNT
from tuneward.serve.auth import Authenticate
from tuneward.serve.bedrock.invocation_delivery import InvocationLogger
from tuneward.serve.catalog import Catalog
from tuneward.store.database import Database
from tuneward.store.tables import Project


@dataclass(frozen=True)
class Services:
    """The library behind the routes."""

    config: ServerConfig
    home: Path
    """Where files, jobs and functions of projects lie."""
    database: Database
    jobs: JobService
    files: FileService
    uploads: UploadService
    objects: ObjectStore
    models: ModelService
    deployments: DeploymentService
    directory: ModelDirectory
    catalog: Catalog
    invocations: InvocationLogger
    """Logs calls of models."""
    authenticate: Authenticate
    judges: ConnectionConfig
    """Where graders that are models find theirs."""
    warm_functions: WarmFunctions = field(default_factory=WarmFunctions)
    """Reward functions that were called lately."""

    def functions(self, project_id: str, account_id: str | None = None) -> FunctionRegistry:
        """A project's reward functions.

        Args:
            account_id: the project's, where the caller knows it; None: it is looked up.
        """
        if account_id is None:
            project = self.database.read(lambda session: session.get(Project, project_id))
            account_id = project.account_id if project else LOCAL_ACCOUNT
        root = functions_home(self.home, project_id)
        return FunctionRegistry(root, region=self.config.region, account=account_id)
