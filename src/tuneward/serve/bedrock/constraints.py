"""The kinds of values in requests, with the limits that the service's model gives them.

Patterns are searched by pydantic's engine, which takes linear time whatever the input.
Source: Bedrock RFT contract, 8.1 to 8.5.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel


class Member(BaseModel):
    """A structure of a request: names as on the wire, no member that is not known, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, members: Any) -> Any:
        """A member that is null counts as not given."""
        if isinstance(members, dict):
            return {name: value for name, value in members.items() if value is not None}
        return members


def text(smallest: int, largest: int, pattern: str = r"[^\x00]*") -> StringConstraints:
    """A string of a length, the whole of which matches a pattern; without a pattern only NUL is refused, which not
    every database can store."""
    return StringConstraints(min_length=smallest, max_length=largest, pattern=f"^(?:{pattern})$")


_REGION = r"arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:"
_BASE_ID = r"[a-z0-9-]{1,63}\.[a-z0-9-]{1,63}(\.?[a-z0-9-]{1,63})?(:[a-z0-9-]{1,63}){0,2}"
_JOB_NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9+\-.])*"
_NAME = r"([0-9a-zA-Z][_-]?)"

TUNED_NAME = r"ft:[a-zA-Z0-9_./:-]+"
"""Models that were made through OpenAI's API have such names, and no others."""

JobName = Annotated[str, text(1, 63, _JOB_NAME)]
JobIdentifier = Annotated[
    str, text(1, 1011, rf"{_REGION}[0-9]{{12}}:model-customization-job/{_BASE_ID}/[a-z0-9]{{12}}|{_JOB_NAME}")
]
CustomModelName = Annotated[str, text(1, 63, f"{_NAME}{{1,63}}")]
CustomModelArn = Annotated[
    str, text(20, 1011, rf"{_REGION}[0-9]{{12}}:custom-model/({_BASE_ID}|imported)/[a-z0-9]{{12}}")
]
FoundationModelArn = Annotated[str, text(20, 1011, f"{_REGION}:foundation-model/{_BASE_ID}")]
ModelArn = Annotated[
    str,
    text(
        20,
        1011,
        rf"{_REGION}([0-9]{{12}}:custom-model/({_BASE_ID}|imported)/[a-z0-9]{{12}}|:foundation-model/{_BASE_ID})",
    ),
]
ModelIdentifier = Annotated[
    str,
    text(
        1,
        2048,
        rf"{_REGION}([0-9]{{12}}:custom-model/({_BASE_ID}|imported)/[a-z0-9]{{12}}|:foundation-model/{_BASE_ID})"
        rf"|{_BASE_ID}|{_NAME}+|{TUNED_NAME}",
    ),
]
"""A base model or a tuned model."""
DeploymentName = CustomModelName
DeploymentIdentifier = Annotated[
    str, text(1, 1011, rf"{_REGION}[0-9]{{12}}:custom-model-deployment/[a-z0-9]{{12}}|{_NAME}{{1,63}}")
]
RoleArn = Annotated[str, text(0, 2048, r"arn:aws(-[^:]+)?:iam::([0-9]{12})?:role/[^\x00\n]+")]
KeyId = Annotated[
    str,
    text(
        1,
        2048,
        r"arn:aws(-[^:]+)?:kms:[a-zA-Z0-9-]*:[0-9]{12}:(key/[a-zA-Z0-9-]{36}|alias/[a-zA-Z0-9\-_/]+)"
        r"|[a-zA-Z0-9-]{36}|alias/[a-zA-Z0-9\-_/]+",
    ),
]
LambdaArn = Annotated[
    str,
    text(
        1,
        512,
        r"arn:(aws[a-zA-Z-]*)?:lambda:[a-z]{2}(-gov)?-[a-z]+-[0-9]:[0-9]{12}:function:"
        r"[a-zA-Z0-9\-_.]+(:(\$LATEST|[a-zA-Z0-9\-_]+))?",
    ),
]
S3Uri = Annotated[
    str,
    text(
        1,
        1024,
        r"s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](/[-!_*'().a-z0-9A-Z]+(/[-!_*'().a-z0-9A-Z]+)*)?/?",
    ),
]
RequestToken = Annotated[str, text(1, 256, r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,254}[a-zA-Z0-9])?")]
PageToken = Annotated[str, text(1, 2048, r"[^\s\x00]*")]
MaxResults = Annotated[int, Field(ge=1, le=1000)]
SortBy = Literal["CreationTime"]
SortOrder = Literal["Ascending", "Descending"]
TokenCount = Annotated[int, Field(ge=1, le=2**31 - 1)]
TagKey = Annotated[str, text(1, 128, r"[a-zA-Z0-9\s._:/=+@-]*")]


class Tag(Member):
    key: TagKey
    value: Annotated[str, text(0, 256, r"[a-zA-Z0-9\s._:/=+@-]*")]


Tags = Annotated[list[Tag], Field(max_length=200)]
