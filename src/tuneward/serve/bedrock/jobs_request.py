"""CreateModelCustomizationJob as it comes, with the limits of the service's model.

Sources: Bedrock RFT contract, 3.7, 5.1 and 8.1.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tuneward.serve.bedrock.constraints import (
    CustomModelName,
    JobName,
    KeyId,
    LambdaArn,
    Member,
    ModelIdentifier,
    RequestToken,
    RoleArn,
    S3Uri,
    Tags,
    TokenCount,
    text,
)

CustomizationType = Literal[
    "FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION", "REINFORCEMENT_FINE_TUNING", "IMPORTED"
]


class Union(Member):
    """A structure of which exactly one member is given."""

    @model_validator(mode="after")
    def _has_one_member(self) -> Self:
        if len(self.model_fields_set) != 1:
            names = ", ".join(field.alias or name for name, field in type(self).model_fields.items())
            raise ValueError(f"Member must have exactly one of: {names}")
        return self


_PAIR_TEXT = r"[a-zA-Z0-9\s._:/=+$@-]*"
Pair = Annotated[
    dict[Annotated[str, text(1, 256, _PAIR_TEXT)], Annotated[str, text(0, 256, _PAIR_TEXT)]],
    Field(min_length=1, max_length=1),
]


class Filter(Union):
    equals: Pair = {}  # noqa: RUF012
    not_equals: Pair = {}  # noqa: RUF012


Filters = Annotated[list[Filter], Field(min_length=1, max_length=16)]


class MetadataFilters(Union):
    equals: Pair = {}  # noqa: RUF012
    not_equals: Pair = {}  # noqa: RUF012
    and_all: Filters = []  # noqa: RUF012
    or_all: Filters = []  # noqa: RUF012


class LogSource(Union):
    s3_uri: S3Uri = ""


class InvocationLogs(Member):
    invocation_log_source: LogSource
    use_prompt_response: bool = False
    request_metadata_filters: MetadataFilters | None = None


class TrainingData(Union):
    s3_uri: S3Uri | None = None
    invocation_logs_config: InvocationLogs | None = None


class S3Data(Member):
    s3_uri: S3Uri


class ValidationData(Member):
    validators: Annotated[list[S3Data], Field(max_length=10)]


class LambdaGrader(Member):
    lambda_arn: LambdaArn


class Grader(Union):
    lambda_grader: LambdaGrader


class ReinforcementHyperParameters(Member):
    epoch_count: Annotated[int, Field(ge=1, le=50)] | None = None
    batch_size: Annotated[int, Field(ge=16, le=512)] | None = None
    learning_rate: Annotated[float, Field(ge=1e-7, le=1e-3)] | None = None
    max_prompt_length: TokenCount | None = None
    training_sample_per_prompt: Annotated[int, Field(ge=2, le=16)] | None = None
    inference_max_tokens: TokenCount | None = None
    reasoning_effort: Literal["low", "medium", "high"] | None = None
    eval_interval: Annotated[int, Field(ge=1, le=100)] | None = None


class Reinforcement(Member):
    grader_config: Grader | None = None
    hyper_parameters: ReinforcementHyperParameters = ReinforcementHyperParameters()


class CustomizationConfig(Union):
    rft_config: Reinforcement | None = None
    distillation_config: dict[str, Any] | None = None


NetworkId = Annotated[str, text(0, 32, "[-0-9a-zA-Z]+")]


class VpcConfig(Member):
    subnet_ids: Annotated[list[NetworkId], Field(min_length=1, max_length=16)]
    security_group_ids: Annotated[list[NetworkId], Field(min_length=1, max_length=5)]


class CreateJob(Member):
    job_name: JobName
    custom_model_name: CustomModelName
    role_arn: RoleArn
    client_request_token: RequestToken | None = None
    base_model_identifier: ModelIdentifier
    customization_type: CustomizationType = "FINE_TUNING"
    custom_model_kms_key_id: KeyId | None = None
    job_tags: Tags = []  # noqa: RUF012
    custom_model_tags: Tags = []  # noqa: RUF012
    training_data_config: TrainingData
    validation_data_config: ValidationData | None = None
    output_data_config: S3Data
    hyper_parameters: dict[Annotated[str, text(0, 256)], Annotated[str, text(0, 256)]] = {}  # noqa: RUF012
    vpc_config: VpcConfig | None = None
    customization_config: CustomizationConfig | None = None
