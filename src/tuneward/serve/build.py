"""From a configuration to the services of a server."""

from __future__ import annotations

from tuneward.config import ConnectionConfig, ServerConfig
from tuneward.data.objects import ObjectStore
from tuneward.jobs.deployments import DeploymentService
from tuneward.jobs.directory import ModelDirectory
from tuneward.jobs.files import FileService
from tuneward.jobs.models import ModelService
from tuneward.jobs.places import home_of, open_database
from tuneward.jobs.service import JobService
from tuneward.jobs.uploads import UploadService
from tuneward.serve.auth import Authenticate, KeyAuthenticator, environment_key
from tuneward.serve.bedrock.invocation_delivery import InvocationLogger
from tuneward.serve.catalog import Catalog
from tuneward.serve.services import Services
from tuneward.store.database import Database


def build_services(
    config: ServerConfig,
    catalog: Catalog,
    authenticate: Authenticate | None = None,
    *,
    judges: ConnectionConfig | None = None,
    database: Database | None = None,
) -> Services:
    """The services of a server.

    Args:
        config: of the server.
        catalog: what it serves.
        authenticate: who may call; None: the keys in the database, and `TUNEWARD_API_KEY`.
        judges: where graders that are models find theirs, unless the configuration says.
        database: the configuration's, where it is open already.

    Raises:
        ConfigError, StoreError: as `open_database` and `ModelDirectory`.
    """
    home = home_of(config)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = database or open_database(config)
    files = FileService(database, home, largest_bytes=config.limits.upload_bytes)
    objects = ObjectStore(config.storage)
    if authenticate is None:
        authenticate = KeyAuthenticator(database, home, region=config.region, environment_key=environment_key())
    return Services(
        config,
        home,
        database,
        JobService(database, active_jobs=config.limits.active_jobs),
        files,
        UploadService(database, home, files),
        objects,
        ModelService(database, home),
        DeploymentService(database, home),
        ModelDirectory(config),
        catalog,
        InvocationLogger(database, objects, region=config.region),
        authenticate,
        config.judges or judges or ConnectionConfig(),
    )
