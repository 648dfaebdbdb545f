"""What is told of a dataset, as it is sent."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tuneward.serve.api.model import ApiModel


class Bar(ApiModel):
    """One bar of a histogram."""

    first: int
    """Tokens, inclusive."""
    last: int
    rows: int


class TokenLengths(ApiModel):
    """Lengths of rows in tokens: of prompts as the model's chat template shows them, or of whole conversations."""

    count: int
    min: int
    mean: float
    max: int
    percentiles: dict[int, int] = Field(default_factory=dict)
    """50, 90, 95 and 99: so many percent of the rows have at most so many tokens. Of training rows only."""
    histogram: list[Bar]
    """At most 20 bars of equal width, in order, without gaps."""


class FileCounts(ApiModel):
    """Counts of one source."""

    bytes: int
    rows: int
    """Without an error."""
    bad_lines: int
    """Lines with an error."""
    too_long: int
    """Rows that are dropped in training."""
    usable: int
    duplicates: int
    """Rows whose prompt stands in an earlier row."""
    conflicts: int
    """Duplicates whose reference answer differs from the first one's."""
    without_reference: int
    size: str
    """What so many rows are good for, such as `a pilot`."""
    lengths: TokenLengths | None
    """Null when they were not counted."""


class LogCounts(ApiModel):
    """What became of logged calls."""

    objects: int
    records: int
    kept: int
    """Rows that were made of them."""
    skipped: dict[str, int]
    """Reason → records, the commonest first."""
    complete: bool
    """False: there are more records than are looked at here; a job reads them all."""


class ProblemExample(ApiModel):
    """One problem."""

    file: Literal["training", "validation"]
    line: int
    """1-based; 0 when it is about the whole file."""
    field: str
    """Place in the row, such as `messages[1].role`."""
    message: str
    fix: str
    """What to do."""


class ProblemGroup(ApiModel):
    """Problems of one kind."""

    severity: Literal["error", "warning", "info"]
    """`error`: a job refuses the file; `warning`: it trains, probably not as meant; `info`: worth knowing."""
    code: str
    """Stable name of the kind."""
    count: int
    """All of them."""
    examples: list[ProblemExample]
    """The first ones."""


class PreviewMessage(ApiModel):
    """A message, cut when it is long."""

    role: str
    content: str
    is_cut: bool


class PreviewRow(ApiModel):
    """One of the first rows."""

    line: int
    id: str
    messages: list[PreviewMessage]
    reference_answer: str | None
    """As text; JSON where it is not one."""
    metadata: str | None
    """JSON."""
    tools: int
    """How many the model may call."""
    tokens: int | None


class SplitCounts(ApiModel):
    """Rows to train and to validate on, without those that are too long."""

    train: int
    validation: int


class Overlap(ApiModel):
    """Validation rows whose prompt is also a training prompt."""

    same: int
    nearly: int
    """Further ones for which that holds when letter case and spacing are ignored."""


class Inspected(ApiModel):
    """What was found in the rows."""

    ok: bool
    """A job would accept them."""
    errors: int
    warnings: int
    remarks: int
    train: FileCounts
    validation: FileCounts | None
    overlap: Overlap | None
    """Null without a validation source."""
    split: SplitCounts | None
    split_problem: str | None
    """Why no rows can be held out."""
    max_tokens: int
    """Longer rows are dropped."""
    suggested_max_tokens: int | None
    """Holds every row, or all but the longest hundredth where those are far longer; null without lengths."""
    lengths_note: str | None
    """Why lengths were not counted."""
    problems: list[ProblemGroup]
    """Errors first."""
    rows: list[PreviewRow]
    logs: LogCounts | None
    """Of a training source that is logs."""
    validation_logs: LogCounts | None
