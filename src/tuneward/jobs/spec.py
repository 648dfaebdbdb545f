"""What a job is to do, in one form for both dialects."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tuneward.config.section import Section


class FileSource(Section):
    """Rows of an uploaded file."""

    kind: Literal["file"] = "file"
    file_id: str


class UriSource(Section):
    """Rows of a JSONL object: `s3://BUCKET/KEY`."""

    kind: Literal["uri"] = "uri"
    uri: str


class MetadataFilters(Section):
    """Which logged calls count; exactly one is given. Source: Bedrock RFT contract, 3.7."""

    equals: dict[str, str] | None = None
    not_equals: dict[str, str] | None = None
    and_all: list[dict[Literal["equals", "not_equals"], dict[str, str]]] | None = None
    or_all: list[dict[Literal["equals", "not_equals"], dict[str, str]]] | None = None


class LogsSource(Section):
    """Prompts of logged model calls under a prefix."""

    kind: Literal["logs"] = "logs"
    uri: str
    use_prompt_response: bool = False
    """Keep the logged answer as the row's reference answer (reinforcement) or as the completion (supervised)."""
    filters: MetadataFilters | None = None


Source = Annotated[FileSource | UriSource | LogsSource, Field(discriminator="kind")]


class JobSpec(Section):
    """Everything a worker needs, beside the job's id."""

    method: Literal["reinforcement", "supervised"]
    base_model: str
    """Id in the model directory."""
    start_from: str | None = None
    """Adapter folder to start from, relative to the home of the server; None: a new one."""
    training: Source
    validation: tuple[Source, ...] = ()
    """None: as the configuration says, a share of the training rows is held out."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Sections of `tuneward.config.Config` (or of `SupervisedConfig`) without `model`, `data.train`,
    `data.validation` and `run`, which the worker fills in."""
    response_format: dict[str, Any] | None = None
    """Form that answers are asked to have (OpenAI's chat form)."""
    custom_name: str | None = None
    """Name of the tuned model in Bedrock's words."""
    suffix: str | None = None
    """Part of the tuned model's name in OpenAI's words."""
    output_uri: str | None = None
    """Prefix that results are copied to when the job ends."""
    integrations: tuple[dict[str, Any], ...] = ()
    """As OpenAI's `integrations`."""
