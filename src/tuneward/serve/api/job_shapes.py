"""What `/api/jobs/{job_id}` and the routes below it answer."""

from __future__ import annotations

from typing import Literal

from tuneward.jobs.cards import JobCard
from tuneward.serve.api.model import ApiModel
from tuneward.types import Json

Severity = Literal["error", "warning", "info"]
RowFile = Literal["training", "validation"]


class PhaseTimes(ApiModel):
    """A phase of a job: `validation`, `data_processing` or `training`."""

    name: str
    started_at: float
    ended_at: float | None
    """Null while it is under way."""


class SourceCard(ApiModel):
    """Where rows come from."""

    kind: Literal["file", "uri", "logs"]
    name: str
    """Id of the file, or the address."""
    filename: str | None
    """Of an uploaded file that is still there."""
    bytes: int | None
    filters: dict[str, Json] | None
    """Of logs."""


class RowProblem(ApiModel):
    """Something about a row, or about a whole file."""

    file: RowFile
    line: int
    """0: about the whole file."""
    field: str
    severity: Severity
    code: str
    message: str
    fix: str


class JobFailure(ApiModel):
    """Why a job failed."""

    code: str | None
    message: str
    param: str | None
    remedy: str
    """What to do."""
    problems: list[RowProblem]
    """The first errors of its rows; `GET /api/jobs/{job_id}/data/problems` lists all of them."""
    has_more_problems: bool


class ModelCard(ApiModel):
    """The tuned model that a job ended with."""

    id: str
    name: str
    """`ft:…`."""
    custom_name: str
    step: int
    created_at: float
    deployments: list[str]
    """Names, at most ten."""


class RunResult(ApiModel):
    """How a run ended. Numbers that were not measured are absent or null."""

    base: dict[str, Json]
    """Of the base model on the validation rows: `reward` and `exact`, or `loss`."""
    tuned: dict[str, Json] | None
    """The same of the tuned model; null when no evaluation came after the first step, or the loss did not fall."""
    comparison: dict[str, Json] | None = None
    """The paired comparison: `n`, `difference`, `interval_low`, `interval_high`, `p_value`, `test`, `verdict`, …"""
    held_out: dict[str, Json] | None = None
    """The same by the held-out grader."""
    verdict: str
    """The outcome in words."""
    steps: int
    best_step: int
    """0: nothing did better than the base model."""
    adapter_step: int
    """Whose adapter the result is."""
    stopped_because: str
    train_seconds: float
    total_seconds: float
    memory: dict[str, Json] | None = None
    """`predicted_bytes` before the run, `expected_bytes` for the lengths that came, `peak_memory_bytes` as measured."""


class JobDetail(JobCard):
    """Everything about a job that is not a series of numbers."""

    actions: list[Literal["cancel", "pause", "resume", "stop"]]
    """What may be done in its state."""
    created_by: str
    """Id of the key."""
    phases: list[PhaseTimes]
    trained_tokens: int | None
    plan: dict[str, Json]
    """What was fixed when training began: steps, batch, rows, lengths, memory."""
    training: SourceCard
    validation_sources: list[SourceCard]
    """Empty: a share of the training rows is held out."""
    suffix: str | None
    metadata: dict[str, str] | None
    output_uri: str | None
    result_files: list[str]
    failure: JobFailure | None
    result: RunResult | None
    """Null until training has ended."""
    tuned_model: ModelCard | None
    best_checkpoint: int | None
    """Step of the checkpoint that did best on the validation rows."""


class Setting(ApiModel):
    """A setting of a run."""

    name: str
    value: Json
    default: Json
    is_changed: bool
    """It is not the default."""
    description: str


class SettingSection(ApiModel):
    """Settings that belong together."""

    name: str
    description: str
    settings: list[Setting]


class Lineage(ApiModel):
    """What a run was made from."""

    created: str | None
    seed: int
    versions: dict[str, str]
    machine: dict[str, Json]
    base_model: str
    weights: dict[str, str]
    """File → SHA-256."""
    training_rows: int | None
    training_sha256: str | None
    """Of the rows as they were trained on: fetched and put together."""
    validation_rows: int | None
    validation_sha256: str | None
    """Null where they were held out of the training rows."""
    left_out_rows: int
    """Longer than the limit."""
    left_out: list[str]
    """Ids of the first of them."""
    graders: list[str]
    """Name and hash of the content."""
    conventions: dict[str, Json]
    """How numbers were computed where more than one way is usual."""
    plan: dict[str, Json]


class JobConfiguration(ApiModel):
    """What a job runs with."""

    sections: list[SettingSection]
    """Every setting but those that are the operator's; empty when they are wrong."""
    yaml: str
    """The same as a configuration file."""
    changed_yaml: str
    """Only what is not the default."""
    lineage: Lineage | None
    """Null until training has begun."""


class FileRows(ApiModel):
    """Counts of one set of rows."""

    rows: int
    """Without an error."""
    bad_lines: int
    too_long: int
    """Rows that are left out for their length."""
    usable: int
    duplicates: int
    conflicts: int
    """Duplicates whose reference answers differ."""
    without_reference: int
    prompt_tokens: dict[str, Json] | None
    """`count`, `min`, `mean`, `p50`, `p95`, `max` and a `histogram` of lengths in tokens."""


class ProblemCount(ApiModel):
    """How many problems there are of one kind."""

    severity: Severity
    code: str
    count: int


class DataReport(ApiModel):
    """What the check of a job's rows found."""

    ok: bool
    errors: int
    warnings: int
    remarks: int
    max_prompt_length: int
    """Tokens; longer rows are left out."""
    train: FileRows
    validation: FileRows | None
    """Null: a share of the training rows is held out."""
    leaks: int
    """Validation rows that are also training rows."""
    near_leaks: int
    """Further ones, letter case and spacing aside."""
    counts: list[ProblemCount]
    split: dict[Literal["training", "validation"], int] | None
    """Rows of each set, once training has begun."""


class ProblemPage(ApiModel):
    """Problems of rows, errors first; the first 1,000 are kept."""

    data: list[RowProblem]
    next: int | None
    """`after` of the next page; null on the last one."""
