"""Tuned models of projects, and their deployments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tuneward.store.database import Database
from tuneward.store.tables import Model


@dataclass(frozen=True, slots=True)
class Tuned:
    """What is needed to serve a name that stands for a tuned model."""

    name: str
    """As it was asked for."""
    base_model: str
    """Id in the model directory."""
    adapter: Path
    created_at: float
    owner: str
    """Project."""


class ModelService:
    """Tuned models, checkpoints and deployments by any of their names; looks only at what the caller may use."""

    def __init__(self, database: Database, home: Path):
        self._database = database
        self._home = home

    def find(self, project_id: str, name: str) -> Tuned:
        """What a name stands for: `ft:…` of a model or a checkpoint (also one that another project permits), custom
        model name or ARN, deployment ARN. Raises ObjectNotFoundError."""
        raise NotImplementedError

    def usable(self, project_id: str) -> list[Tuned]:
        """Every tuned model of the project by its `ft:…` name, newest first."""
        raise NotImplementedError

    def get(self, project_id: str, name: str) -> Model:
        """A model by id, `ft:…` name, custom name or ARN. Raises ObjectNotFoundError."""
        raise NotImplementedError

    def delete(self, project_id: str, name: str) -> None:
        """Delete a model; its adapter goes with it. Raises ObjectNotFoundError, ConflictError while it is deployed."""
        raise NotImplementedError
