"""The tables of the service. Times are seconds since 1970, UTC; whatever belongs to somebody has a `project_id`.

Ids of jobs, models and deployments are 12 characters of `[a-z0-9]`; each dialect puts its own frame around them
(`ftjob-ID`, `arn:…:model-customization-job/BASE/ID`), so that both speak of the same objects.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tuneward.types import Json

JobState = Literal[
    "validating", "queued", "running", "pausing", "paused", "stopping", "succeeded", "failed", "cancelled", "stopped"
]
"""What each means, and every way from one to another: `tuneward.jobs.states`."""


class Base(DeclarativeBase):
    """Names of constraints are fixed, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        float: Double,
        int: BigInteger().with_variant(Integer(), "sqlite"),  # SQLite numbers rows only in a column of this very type
        str: Text,
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON,
        Json: JSON,
    }


class Project(Base):
    """Who owns things. Keys belong to one project and see nothing of another."""

    __tablename__ = "projects"
    id: Mapped[str] = mapped_column(primary_key=True)
    """`proj_…`; the first is `proj_default`."""
    name: Mapped[str] = mapped_column(unique=True)
    account_id: Mapped[str] = mapped_column(unique=True)
    """12 digits; stands in ARNs."""
    created_at: Mapped[float]


class ApiKey(Base):
    """A bearer key; only its hash is kept."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    """`key_…`."""
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    name: Mapped[str]
    role: Mapped[str]
    """`admin`, `developer` or `viewer`."""
    digest: Mapped[str] = mapped_column(unique=True)
    """SHA-256 of the key, hexadecimal; keys are long and random, so a slow hash would protect nothing."""
    hint: Mapped[str]
    """Last four characters, to tell keys apart."""
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    last_used_at: Mapped[float | None]
    revoked_at: Mapped[float | None]


class AccessKey(Base):
    """An access key of AWS's kind, for signed requests."""

    __tablename__ = "access_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    """The access key id, 20 characters."""
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    name: Mapped[str]
    role: Mapped[str]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    """Encrypted; a signature can only be checked with the secret itself."""
    created_at: Mapped[float]
    last_used_at: Mapped[float | None]
    revoked_at: Mapped[float | None]


class AuditEntry(Base):
    """Who did what."""

    __tablename__ = "audit_log"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[float] = mapped_column(index=True)
    project_id: Mapped[str | None] = mapped_column(index=True)
    actor: Mapped[str]
    """Id of the key, or `anonymous`."""
    action: Mapped[str]
    """Method and route, such as `POST /v1/files`."""
    target: Mapped[str]
    """Path of the request."""
    status: Mapped[int]
    request_id: Mapped[str]


class File(Base):
    """An uploaded or produced file; the content lies in the project's folder under its id."""

    __tablename__ = "files"
    id: Mapped[str] = mapped_column(primary_key=True)
    """`file-…`."""
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    purpose: Mapped[str]
    filename: Mapped[str]
    bytes: Mapped[int]
    sha256: Mapped[str]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    status: Mapped[str]
    """`uploaded`, `processed` or `error`."""
    status_details: Mapped[str | None]
    __table_args__ = (Index(None, "project_id", "created_at"),)


class Upload(Base):
    """A file that comes in parts."""

    __tablename__ = "uploads"
    id: Mapped[str] = mapped_column(primary_key=True)
    """`upload_…`."""
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    purpose: Mapped[str]
    filename: Mapped[str]
    mime_type: Mapped[str]
    bytes: Mapped[int]
    """Announced."""
    created_at: Mapped[float]
    expires_at: Mapped[float]
    file_expires_after_s: Mapped[int | None]
    status: Mapped[str]
    """`pending`, `completed`, `cancelled` or `expired`."""
    file_id: Mapped[str | None]


class UploadPart(Base):
    __tablename__ = "upload_parts"
    id: Mapped[str] = mapped_column(primary_key=True)
    """`part_…`."""
    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id"), index=True)
    bytes: Mapped[int]
    created_at: Mapped[float]


class Job(Base):
    """A fine-tuning job: what was asked for, where it stands, and who works on it."""

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    created_by: Mapped[str]
    """Id of the key."""
    name: Mapped[str]
    """`jobName` of Bedrock; `ftjob-ID` where none was given. Unique in its project."""
    state: Mapped[JobState] = mapped_column(Text, index=True)
    dialect: Mapped[str]
    """`openai`, `bedrock` or `tuneward`: which API it was created through, and whose words `request` has."""
    model: Mapped[str]
    """Base model or tuned model, as the caller named it."""
    spec: Mapped[dict[str, Any]]
    """`tuneward.jobs.spec.JobSpec`."""
    request: Mapped[dict[str, Any]]
    """The body as it came, for reading back."""
    user_metadata: Mapped[dict[str, Any] | None]
    created_at: Mapped[float]
    updated_at: Mapped[float]
    """Grows with everything that callers can see of it, its events included."""
    started_at: Mapped[float | None]
    """Training began for the first time."""
    finished_at: Mapped[float | None]
    phases: Mapped[dict[str, Any]]
    """Phase (`validation`, `data_processing`, `training`) → `{"started_at", "ended_at"}`."""
    progress: Mapped[dict[str, Any]]
    """`step`, `total_steps`, `trained_tokens`, `estimated_finish`, `plan` and the newest numbers: `train` and
    `validation`; `trend` of the training reward, `validations`: those of the base model and the best."""
    error: Mapped[dict[str, Any] | None]
    """`{"code", "message", "param"}`."""
    result_files: Mapped[list[Any]]
    model_id: Mapped[str | None]
    """The tuned model, once there is one."""
    lease_owner: Mapped[str | None]
    """The worker that works on it."""
    lease_token: Mapped[int] = mapped_column(default=0)
    """Counts takings; a process that holds an older number must not write any more."""
    lease_expires_at: Mapped[float | None]
    attempts: Mapped[int] = mapped_column(default=0)
    """Times in a row that its process ended without progress."""
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        Index(None, "project_id", "created_at", "id"),
        Index(None, "project_id", "state", "created_at", "id"),
    )


class JobEvent(Base):
    """What happened in a job, in words or as numbers."""

    __tablename__ = "job_events"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    """`ftevent-…`."""
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    created_at: Mapped[float]
    level: Mapped[str]
    """`info`, `warn` or `error`."""
    type: Mapped[str]
    """`message` or `metrics`."""
    code: Mapped[str]
    """What kind of message, such as `created`, `checkpoint`, `warning`; of metrics the record's kind."""
    message: Mapped[str]
    data: Mapped[dict[str, Any]]
    """Of metrics: the record as `tuneward.records` describes it; each dialect makes its own keys of it."""
    __table_args__ = (Index(None, "job_id", "seq"),)


class Checkpoint(Base):
    """A state of the adapter that can be served."""

    __tablename__ = "checkpoints"
    id: Mapped[str] = mapped_column(primary_key=True)
    """`ftckpt_…`."""
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    step: Mapped[int]
    model_name: Mapped[str] = mapped_column(unique=True)
    """`ft:BASE:ORG:SUFFIX:ID:ckpt-step-N`."""
    adapter: Mapped[str]
    """Folder, relative to the home of the server."""
    metrics: Mapped[dict[str, Any]]
    """`train` and `validation`: records as `tuneward.records` describes them, without their timing."""
    created_at: Mapped[float]
    __table_args__ = (UniqueConstraint("job_id", "step"),)


class CheckpointPermission(Base):
    """Another project may use a checkpoint."""

    __tablename__ = "checkpoint_permissions"
    id: Mapped[str] = mapped_column(primary_key=True)
    """`cp_…`."""
    checkpoint_id: Mapped[str] = mapped_column(ForeignKey("checkpoints.id"), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    """Who may."""
    created_at: Mapped[float]
    __table_args__ = (UniqueConstraint("checkpoint_id", "project_id"),)


class Model(Base):
    """A tuned model."""

    __tablename__ = "models"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    job_id: Mapped[str | None] = mapped_column(index=True)
    """None: brought from outside."""
    name: Mapped[str] = mapped_column(unique=True)
    """`ft:BASE:ORG:SUFFIX:ID8`."""
    custom_name: Mapped[str]
    """`customModelName` of Bedrock, unique in its project; the name where none was given."""
    base_model: Mapped[str]
    """Id in the model directory."""
    step: Mapped[int]
    adapter: Mapped[str]
    """Folder, relative to the home of the server."""
    created_at: Mapped[float]
    __table_args__ = (UniqueConstraint("project_id", "custom_name"),)


class Deployment(Base):
    """A name under which Bedrock's runtime serves a tuned model; the model behind it can be swapped."""

    __tablename__ = "deployments"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    description: Mapped[str | None]
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), index=True)
    status: Mapped[str]
    """`Creating`, `Active` or `Failed`."""
    failure: Mapped[str | None]
    update: Mapped[dict[str, Any] | None]
    """`{"model_id", "status"}` of the last swap."""
    created_at: Mapped[float]
    updated_at: Mapped[float]
    __table_args__ = (UniqueConstraint("project_id", "name"),)


class Tag(Base):
    """A tag of a resource, by ARN."""

    __tablename__ = "tags"
    arn: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class InvocationLogging(Base):
    """Where a project's calls of models are logged."""

    __tablename__ = "invocation_logging"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    config: Mapped[dict[str, Any]]
    """`loggingConfig` as it came."""


class StoredResponse(Base):
    """An answer of the Responses API that was asked to be kept."""

    __tablename__ = "responses"
    id: Mapped[str] = mapped_column(primary_key=True)
    """`resp_…`."""
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    body: Mapped[dict[str, Any]]
    messages: Mapped[list[Any]]
    """The conversation up to and including it, for `previous_response_id`."""
    created_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)


class RequestToken(Base):
    """A request that may be repeated: the same token gives the object that the first one made."""

    __tablename__ = "request_tokens"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    """Kind of object, such as `job` or `deployment`."""
    token: Mapped[str] = mapped_column(primary_key=True)
    object_id: Mapped[str]
    created_at: Mapped[float]


class SlotLease(Base):
    """A processor or GPU that a job holds, so that no two take the same."""

    __tablename__ = "slot_leases"
    slot: Mapped[str] = mapped_column(primary_key=True)
    """`HOST/DEVICE`."""
    job_id: Mapped[str]
    worker: Mapped[str]
    expires_at: Mapped[float]
