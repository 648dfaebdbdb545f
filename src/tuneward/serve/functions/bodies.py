"""Bodies of requests of AWS Lambda's API; members that mean nothing here are accepted and left alone.

Source: AWS Lambda API reference, version 2015-03-31.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from tuneward.rewards.functions.configuration import (
    MAX_DESCRIPTION,
    MAX_MEMORY_MB,
    MAX_ROLE,
    MAX_TIMEOUT_S,
    MIN_MEMORY_MB,
)
from tuneward.rewards.functions.registry import FunctionSettings
from tuneward.serve.aws_errors import AwsError

Description = Annotated[str, Field(max_length=MAX_DESCRIPTION)]
Tags = Annotated[dict[str, str], Field(max_length=50)]


class Body(BaseModel):
    """Members in AWS's spelling: `memory_size` is `MemorySize`."""

    model_config = ConfigDict(alias_generator=to_pascal, extra="ignore")


class Environment(Body):
    variables: dict[str, str] = Field(default_factory=dict)


class Settings(Body):
    """What CreateFunction and UpdateFunctionConfiguration have in common."""

    runtime: str | None = None
    role: Annotated[str, Field(max_length=MAX_ROLE)] | None = None
    handler: Annotated[str, Field(max_length=128)] | None = None
    description: Description | None = None
    timeout: Annotated[int, Field(ge=1, le=MAX_TIMEOUT_S)] | None = None
    memory_size: Annotated[int, Field(ge=MIN_MEMORY_MB, le=MAX_MEMORY_MB)] | None = None
    environment: Environment | None = None
    layers: list[str] | None = None
    file_system_configs: list[dict[str, Any]] | None = None

    def given(self) -> FunctionSettings:
        """The settings that the caller gave. Raises AwsError for those that code would depend on in vain."""
        for name, value in (("Layers", self.layers), ("FileSystemConfigs", self.file_system_configs)):
            if value:
                raise AwsError(
                    "InvalidParameterValueException",
                    400,
                    f"{name} cannot be had here. Put the modules into the archive.",
                )
        settings: FunctionSettings = {}
        if self.runtime is not None:
            settings["runtime"] = self.runtime
        if self.role is not None:
            settings["role"] = self.role
        if self.description is not None:
            settings["description"] = self.description
        if self.timeout is not None:
            settings["timeout_s"] = self.timeout
        if self.memory_size is not None:
            settings["memory_mb"] = self.memory_size
        if self.environment is not None:
            settings["environment"] = self.environment.variables
        return settings


class Code(Body):
    """Where an archive comes from."""

    zip_file: str | None = None
    """Base64."""
    s3_bucket: str | None = None
    s3_key: str | None = None
    image_uri: str | None = None


class CreateFunction(Settings):
    function_name: str
    code: Code
    publish: bool = False
    package_type: str = "Zip"
    tags: Tags = Field(default_factory=dict)


class UpdateConfiguration(Settings):
    revision_id: str | None = None


class UpdateCode(Code):
    publish: bool = False
    dry_run: bool = False
    revision_id: str | None = None


class PublishVersion(Body):
    code_sha256: Annotated[str | None, Field(alias="CodeSha256")] = None
    description: Description | None = None
    revision_id: str | None = None


class Routing(Body):
    additional_version_weights: dict[str, float] = Field(default_factory=dict)


class AliasSettings(Body):
    description: Description | None = None
    routing_config: Routing | None = None


class CreateAlias(AliasSettings):
    name: str
    function_version: str


class UpdateAlias(AliasSettings):
    function_version: str | None = None
    revision_id: str | None = None


class AddPermission(Body):
    statement_id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9-_]{1,100}$")]
    action: Annotated[str, Field(pattern=r"^(lambda:[*]|lambda:[a-zA-Z]{1,100}|[*])$")]
    principal: Annotated[str, Field(pattern=r"^\S{1,2048}$")]
    source_arn: Annotated[str, Field(max_length=2048)] | None = None
    source_account: Annotated[str, Field(pattern=r"^\d{12}$")] | None = None
    principal_org_id: Annotated[str | None, Field(alias="PrincipalOrgID", max_length=34)] = None
    revision_id: str | None = None


class Concurrency(Body):
    reserved_concurrent_executions: Annotated[int, Field(ge=0, le=1_000_000)]


class TagResource(Body):
    tags: Tags


def decode_zip(text: str) -> bytes:
    """The archive of a `ZipFile`. Raises AwsError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise AwsError("InvalidParameterValueException", 400, "ZipFile is not base64.") from None
