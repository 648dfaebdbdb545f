"""A server with real keys, without a model."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config
from tests.service import app_with

from tuneward.accounts.keys import IssuedKey, create_access_key, create_key
from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.accounts.vault import open_vault
from tuneward.config import LimitsConfig, ServerConfig
from tuneward.jobs.places import open_database
from tuneward.serve.auth import KeyAuthenticator
from tuneward.serve.protocol import Timeouts
from tuneward.serve.server import Server, bind
from tuneward.store.database import Database


@dataclass(frozen=True)
class Service:
    """A running server and its database."""

    url: str
    home: Path
    database: Database

    def key(self, role: str = "admin", project: str = DEFAULT_PROJECT, **settings: Any) -> IssuedKey:
        return create_key(self.database, project, f"a {role}", role, **settings)

    def access_key(self, role: str = "admin", project: str = DEFAULT_PROJECT) -> IssuedKey:
        return create_access_key(self.database, open_vault(self.home), project, f"a {role}", role)

    def client(self, key: IssuedKey | None = None) -> httpx.Client:
        """As the holder of a key; a new administrator's when none is given."""
        return httpx.Client(base_url=self.url, headers=bearer((key or self.key()).secret), timeout=30)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def aws(service: str, url: str, key_id: str, secret: str, *, region: str = "us-east-1", **settings: Any) -> Any:
    """An unmodified client of AWS's SDK that tries once."""
    config = Config(retries={"total_max_attempts": 1}, **settings)
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=config,
    )


@contextmanager
def serving(
    home: Path,
    *,
    environment_key: str | None = None,
    tls: ssl.SSLContext | None = None,
    timeouts: Timeouts | None = None,
    host: str = "127.0.0.1",
    **limits: int,
) -> Iterator[Service]:
    """A server with a home of its own and the limits given; `host` is only what its configuration says."""
    config = ServerConfig(home=home, host=host, limits=LimitsConfig(**limits))
    home.mkdir(parents=True, exist_ok=True)
    database = open_database(config)
    authenticate = KeyAuthenticator(database, home, environment_key=environment_key)
    app = app_with(home, authenticate=authenticate, config=config)
    with Server(app, bind("127.0.0.1", 0), tls=tls, timeouts=timeouts) as server:
        yield Service(server.url, home, database)
    database.close()
