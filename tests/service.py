"""Services of a server for tests: a home of their own, and one caller unless told otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI

from tuneward.config import ConnectionConfig, ServerConfig
from tuneward.serve.app import create_app
from tuneward.serve.auth import Authenticate, fixed_key
from tuneward.serve.build import build_services
from tuneward.serve.catalog import FixedCatalog, ServedModel


def app_with(
    home: Path,
    models: Sequence[ServedModel] = (),
    *,
    authenticate: Authenticate | None = None,
    judges: ConnectionConfig | None = None,
    config: ServerConfig | None = None,
) -> FastAPI:
    """An application with a home of its own; everybody may call unless `authenticate` says who."""
    config = (config or ServerConfig()).model_copy(update={"home": home})
    return create_app(build_services(config, FixedCatalog(models), authenticate or fixed_key(None), judges=judges))
