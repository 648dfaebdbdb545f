"""The body of `POST /api/jobs`, and what becomes of it.

It says everything in the words of a configuration, so that whatever a run can be told can be asked for here; the
forecast, the pre-flight and the code of a job take the same body.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from tuneward.errors import DataError
from tuneward.jobs.problems import InvalidRequestError
from tuneward.jobs.service import NewJob
from tuneward.jobs.spec import FileSource, JobSpec, LogsSource, Source
from tuneward.serve.api.model import ApiModel
from tuneward.serve.bedrock.constraints import JobName
from tuneward.serve.context import context_length
from tuneward.serve.job_parts.config import sections_of
from tuneward.serve.job_parts.files import check_file
from tuneward.serve.job_parts.model import starting_model
from tuneward.serve.openai.job_request import MetadataKey, MetadataValue, ResponseFormat
from tuneward.serve.services import Services
from tuneward.types import Json

Method = Literal["reinforcement", "supervised"]
ModelName = Annotated[str, Field(min_length=1, max_length=2048)]
Uri = Annotated[str, Field(min_length=1, max_length=1024)]


class JobDraft(ApiModel):
    """A job request that may be incomplete, as while somebody is still making it."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: JobName | None = None
    """Unique in the project; made up when it is not given."""
    method: Method = "reinforcement"
    model: ModelName | None = None
    """A base model, or a tuned model to go on from."""
    training: Source | None = None
    """Rows to learn from: an uploaded file, an object, or logged calls."""
    validation: Source | None = None
    """Rows to measure on; without it a share of the training rows is held out."""
    config: dict[str, dict[str, Json]] = Field(default_factory=dict)
    """Sections `data`, `lora`, `training`, `evaluation`, `run` and `reward` of a configuration, as far as they differ
    from its defaults. `GET /api/settings-schema` lists what may be set."""
    response_format: ResponseFormat | None = None
    """The form that answers are asked to have, in training and when the model is served; of reinforcement jobs."""
    suffix: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] | None = None
    """Part of the tuned model's name."""
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)] | None = None
    """Texts of your own, by name."""
    output_uri: Uri | None = None
    """`s3://BUCKET/PREFIX` that the results are copied to when the job ends."""

    _sent: dict[str, Json] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep(cls, data: Any, handler: ModelWrapValidatorHandler[JobDraft]) -> JobDraft:
        made = handler(data)
        made._sent = data if isinstance(data, dict) else {}
        return made

    @property
    def sent(self) -> dict[str, Json]:
        """The body as it came."""
        return self._sent


class NewJobRequest(JobDraft):
    """A job to be made."""

    model: ModelName
    """A base model, or a tuned model to go on from."""
    training: Source
    """Rows to learn from: an uploaded file, an object, or logged calls."""


def new_job(asked: NewJobRequest, services: Services, project_id: str, *, token: str | None = None) -> NewJob:
    """A job to be stored.

    Raises:
        InvalidRequestError: a file, address, reward or number that cannot be used; `param` names it.
        ObjectNotFoundError: no such model.
    """
    return NewJob(
        dialect="tuneward",
        model=asked.model,
        spec=spec_of(asked, services, project_id),
        request=asked.sent,
        name=asked.name,
        user_metadata=asked.metadata,
        token=token,
    )


def spec_of(asked: NewJobRequest, services: Services, project_id: str) -> JobSpec:
    """What a worker is to do. Raises as `new_job`."""
    base_model, start_from = starting_model(asked.model, services, project_id)
    check_source(asked.training, "training", services, project_id)
    if asked.validation is not None:
        check_source(asked.validation, "validation", services, project_id)
    if asked.output_uri is not None:
        _check_address(asked.output_uri, "output_uri", services, is_prefix=True)
    context = context_length(services.directory.find(base_model).local)
    config = sections_of(asked.method, asked.config, services, project_id, context)
    if asked.method == "reinforcement" and "reward" not in config:
        message = "Missing required parameter: 'config.reward'. Say how completions are scored."
        raise InvalidRequestError(message, param="config.reward", code="missing_required_parameter")
    return JobSpec(
        method=asked.method,
        base_model=base_model,
        start_from=start_from,
        training=asked.training,
        validation=() if asked.validation is None else (asked.validation,),
        config=config,
        response_format=asked.response_format.chat_form() if asked.response_format else None,
        suffix=asked.suffix,
        output_uri=asked.output_uri,
    )


def check_source(source: Source, param: str, services: Services, project_id: str) -> None:
    """Raises InvalidRequestError when rows cannot be had from there."""
    if isinstance(source, FileSource):
        check_file(source.file_id, f"{param}.file_id", services, project_id)
    else:
        _check_address(source.uri, f"{param}.uri", services, is_prefix=isinstance(source, LogsSource))


def _check_address(uri: str, param: str, services: Services, *, is_prefix: bool) -> None:
    try:
        services.objects.check(uri, is_prefix=is_prefix)
    except DataError as error:
        raise InvalidRequestError(f"{param}: {error}", param=param, code="invalid_value") from None
