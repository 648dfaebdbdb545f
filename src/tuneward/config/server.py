"""The configuration of `tuneward serve` and `tuneward worker`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tuneward.config.reward import ConnectionConfig
from tuneward.config.section import InputFile, Positive, Section


class ServedModelConfig(Section):
    """A base model that may be tuned and called."""

    name: str
    """Alias, local folder, `.gguf` file or Hugging Face id."""
    id: str | None = None
    """What callers say; None: the name, of a folder its last part."""
    aliases: tuple[str, ...] = ()
    """Further names, such as a managed service's id that existing code uses."""
    provider: str = "tuneward"
    """`providerName` in lists of foundation models."""


class ServingConfig(Section):
    """Inference."""

    max_rows: Positive = 32
    """Answers computed together, for each base model."""
    max_waiting: Positive = 256
    """Answers that may wait for each base model; more are refused with status 429."""
    memory_gb: float | None = Field(None, gt=0)
    """GiB that loaded models may take; the longest unused is unloaded for another. None: half of what is free."""
    idle_unload_s: float | None = Field(None, gt=0)
    """Unload a model that was not called for this long; None: only when memory is wanted."""
    request_timeout_s: float = Field(600.0, gt=0)
    """Wall-clock limit of one answer."""


class LimitsConfig(Section):
    """What one key may ask for."""

    requests_per_minute: Positive | None = None
    """None: as many as it likes."""
    tokens_per_minute: Positive | None = None
    """Prompt and completion tokens of inference."""
    upload_bytes: Positive = 512 * 2**20
    """Largest file."""
    body_bytes: Positive = 25_000_000
    """Largest body of any other request."""
    active_jobs: Positive = 100
    """Jobs of one project that have not ended."""


class StorageConfig(Section):
    """Object storage: `s3://` through boto3's usual settings."""

    folder: Path | None = None
    """Keep objects here instead: `s3://BUCKET/KEY` is the file FOLDER/BUCKET/KEY. None: in object storage."""
    endpoint_url: str | None = Field(None, pattern=r"^https?://")
    """None: as boto3 finds it (`AWS_ENDPOINT_URL_S3`, profile), else AWS."""
    buckets: tuple[str, ...] | None = None
    """Buckets that jobs may name; None: all that the server's credentials reach."""


class ServerConfig(Section):
    """A server and its workers."""

    home: Path | None = None
    """Where files, jobs and functions lie; None: `server` in the data home."""
    database: str | None = None
    """`postgresql://…`; None: SQLite in `home`."""
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    tls_certificate: InputFile | None = None
    tls_key: InputFile | None = None
    region: str = "us-east-1"
    """Stands in ARNs."""
    organization: str = "tuneward"
    """Third part of tuned models' names, `ft:BASE:ORG:…`."""
    models: tuple[ServedModelConfig, ...] = (ServedModelConfig(name="smollm2-135m"),)
    model_map: InputFile | None = None
    """YAML file: further names → ids of `models`."""
    judges: ConnectionConfig | None = None
    """Where graders that are models find theirs; None: this server."""
    workers: int = Field(1, ge=0)
    """Worker processes that `tuneward serve` starts; further ones are started with `tuneward worker`."""
    slots: Positive = 1
    """Jobs that train at the same time on this machine's processor; on GPUs it is one each."""
    threads: Positive | None = None
    """CPU threads of inference and of each job; None: all."""
    serving: ServingConfig = ServingConfig()
    limits: LimitsConfig = LimitsConfig()
    storage: StorageConfig = StorageConfig()
