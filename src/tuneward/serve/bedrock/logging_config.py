"""Where calls of models are logged. Source: Bedrock RFT contract, 8.5."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from sqlalchemy.orm import Session

from tuneward.errors import DataError
from tuneward.jobs.rivals import again_after_rival
from tuneward.serve.bedrock.constraints import Member, RoleArn, text
from tuneward.serve.bedrock.validation import AwsRoute, validation_exception
from tuneward.serve.deps import Admin, Use, Viewer
from tuneward.serve.services import Services
from tuneward.store.tables import InvocationLogging

routes = APIRouter(prefix="/logging/modelinvocations", route_class=AwsRoute, tags=["bedrock"])


class S3Config(Member):
    bucket_name: Annotated[str, text(3, 63, r"[a-zA-Z0-9][-._a-zA-Z0-9]*")]
    key_prefix: Annotated[str, text(0, 1024, r"[^\x00-\x1f\x7f]*")] = ""


class CloudWatchConfig(Member):
    log_group_name: Annotated[str, text(1, 512)]
    role_arn: RoleArn
    large_data_delivery_s3_config: S3Config | None = None


class LoggingConfig(Member):
    cloud_watch_config: CloudWatchConfig | None = None
    s3_config: S3Config | None = None
    text_data_delivery_enabled: bool | None = None
    image_data_delivery_enabled: bool | None = None
    embedding_data_delivery_enabled: bool | None = None
    video_data_delivery_enabled: bool | None = None
    audio_data_delivery_enabled: bool | None = None


class PutLogging(Member):
    logging_config: LoggingConfig


@routes.put("")
def put(asked: PutLogging, services: Use, caller: Admin) -> dict[str, str]:
    """PutModelInvocationLoggingConfiguration."""
    config = asked.logging_config
    if config.s3_config is None:
        raise validation_exception(
            "loggingConfig.s3Config is missing: calls are logged to S3; there is no CloudWatch here."
        )
    _check_bucket(services, config.s3_config)
    kept = config.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def work(session: Session) -> None:
        session.merge(InvocationLogging(project_id=caller.project_id, config=kept))

    again_after_rival(lambda: services.database.write(work))
    return {}


@routes.get("")
def get(services: Use, caller: Viewer) -> dict[str, Any]:
    """GetModelInvocationLoggingConfiguration."""
    kept = services.database.read(lambda session: session.get(InvocationLogging, caller.project_id))
    return {"loggingConfig": kept.config} if kept else {}


@routes.delete("")
def delete(services: Use, caller: Admin) -> dict[str, str]:
    """DeleteModelInvocationLoggingConfiguration."""

    def work(session: Session) -> None:
        if kept := session.get(InvocationLogging, caller.project_id):
            session.delete(kept)

    services.database.write(work)
    return {}


def _check_bucket(services: Services, config: S3Config) -> None:
    prefix = "/".join(filter(None, (config.bucket_name, config.key_prefix.strip("/"))))
    try:
        services.objects.probe_write(f"s3://{prefix}")
    except DataError as error:
        raise validation_exception(
            f"Failed to validate permissions for log delivery to bucket {config.bucket_name}: {error}"
        ) from None
