"""What the process of a job has at hand."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuneward.config import ServerConfig
from tuneward.data.objects import ObjectStore
from tuneward.errors import TunewardError
from tuneward.jobs.directory import BaseModel, ModelDirectory
from tuneward.jobs.files import FileService
from tuneward.jobs.journal import Journal
from tuneward.jobs.places import functions_home, job_home
from tuneward.jobs.spec import JobSpec
from tuneward.rewards.functions.shelf import ACCOUNT_VARIABLE, FUNCTIONS_VARIABLE
from tuneward.store.database import Database
from tuneward.store.tables import Project


class JobFailedError(TunewardError):
    """The job cannot be carried out.

    Args:
        code: short name of the reason. Source of the known ones: OpenAI RFT contract, 3.9.
        message: for the user.
        param: `training_file`, `validation_file`, or another parameter of the job.
    """

    def __init__(self, code: str, message: str, param: str | None = None):
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


class AskedToEndError(TunewardError):
    """The worker wants the process to end; the job stays as it is."""


@dataclass(frozen=True)
class JobContext:
    """One job in one process."""

    config: ServerConfig
    server_home: Path
    database: Database
    journal: Journal
    job_id: str
    project_id: str
    spec: JobSpec
    asked: threading.Event = field(default_factory=threading.Event)
    """Set when the worker has asked this process to end."""

    @property
    def home(self) -> Path:
        """Of the job."""
        return job_home(self.server_home, self.project_id, self.job_id)

    @property
    def run_path(self) -> Path:
        return self.home / "run"

    def use_functions(self) -> None:
        """Reward functions are from here on those of the job's project."""
        os.environ[FUNCTIONS_VARIABLE] = str(functions_home(self.server_home, self.project_id))
        os.environ[ACCOUNT_VARIABLE] = self.database.read(
            lambda session: session.get_one(Project, self.project_id).account_id
        )

    @property
    def files(self) -> FileService:
        return FileService(self.database, self.server_home, largest_bytes=2**62)

    @property
    def objects(self) -> ObjectStore:
        return ObjectStore(self.config.storage)

    def base_model(self) -> BaseModel:
        """Raises JobFailedError when the configuration does not have it any more."""
        try:
            return ModelDirectory(self.config).find(self.spec.base_model)
        except TunewardError as error:
            raise JobFailedError("model_not_found", str(error), "model") from None

    def relative(self, path: Path) -> str:
        """A path as the store holds it."""
        return str(path.relative_to(self.server_home))

    def stop_if_asked(self) -> None:
        """Raises AskedToEndError."""
        if self.asked.is_set():
            raise AskedToEndError(f"job {self.job_id} was asked to end")


def without_timing(record: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (record or {}).items() if name != "timing"}
