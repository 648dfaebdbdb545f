"""What `GET /api/settings` answers."""

from __future__ import annotations

from typing import Literal

from tuneward.serve.api.model import ApiModel
from tuneward.types import Json


class Home(ApiModel):
    """Where files, jobs and functions lie."""

    path: str
    free_bytes: int
    total_bytes: int


class DatabaseFacts(ApiModel):
    """Where everything else is kept."""

    kind: Literal["sqlite", "postgresql"]
    address: str
    """Without user and password."""
    is_reachable: bool


class StorageFacts(ApiModel):
    """Where `s3://` addresses lead."""

    kind: Literal["folder", "s3"]
    place: str | None
    """Folder or endpoint; null: AWS, or as the environment says."""
    buckets: list[str] | None
    """Buckets that jobs may name; null: all that the server can reach."""


class TlsFacts(ApiModel):
    """Encryption of this server's own address."""

    certificate: str | None
    """File; null: served without TLS, for this machine alone or behind a proxy."""
    ends_at: float | None
    """When the certificate ends, seconds since 1970; null when it cannot be read."""


class JudgeFacts(ApiModel):
    """How graders that are models reach theirs."""

    provider: Literal["openai", "bedrock"]
    address: str | None
    is_this_server: bool
    key_variable: str
    """Environment variable with the key."""
    has_key: bool
    models: dict[str, str]
    """Name in a grader → name at the address."""


class MappedModel(ApiModel):
    """A base model of the server, and every name that leads to it."""

    id: str
    local: str | None
    """Its name or folder on this machine."""
    provider: str
    managed_id: str
    """As ARNs have it."""
    aliases: list[str]
    is_loaded: bool


class JobAtWork(ApiModel):
    """A job of the caller's project, or of anybody's for administrators of the default project."""

    id: str
    name: str
    project_id: str
    step: int | None
    total_steps: int | None


class WorkerTask(ApiModel):
    """A job in the hands of a worker."""

    host: str
    process: int | None
    slot: str | None
    """Processor or GPU; null while the job is validated."""
    state: str
    job: JobAtWork | None
    """Null: another project's."""
    lease_expires_at: float


class Workers(ApiModel):
    """Who trains, on what."""

    started_here: int
    """Worker processes that this server starts; 0: jobs wait for `tuneward worker`."""
    slots: list[str]
    """Of this machine; one job trains on each."""
    tasks: list[WorkerTask]
    waiting: int
    """Jobs of all projects that no worker has taken."""
    states: dict[str, int]
    """Jobs of the caller's project that have not ended, by state."""


class SettingValue(ApiModel):
    """A key of the configuration file."""

    key: str
    value: Json
    is_default: bool
    meaning: str


class LibraryFact(ApiModel):
    """A library that this program stands on."""

    name: str
    version: str
    licence: str


class ServerSettings(ApiModel):
    """What the server runs with; what is null is told to administrators of the default project."""

    version: str
    python: str
    system: str
    region: str
    home: Home | None
    database: DatabaseFacts | None
    storage: StorageFacts | None
    tls: TlsFacts | None
    judges: JudgeFacts | None
    models: list[MappedModel]
    workers: Workers | None
    """Null also while the database cannot be reached."""
    settings: list[SettingValue]
    libraries: list[LibraryFact]
