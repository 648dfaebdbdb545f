"""A first look at a dataset, for somebody who is choosing it: the report, some rows, lengths, and the split."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tuneward.data.checks import TokenCounter, validate
from tuneward.data.keys import loose_prompt_digest
from tuneward.data.lengths import LengthCounter
from tuneward.data.problems import Problem
from tuneward.data.report import DataReport
from tuneward.data.row_kinds import RowKind
from tuneward.data.split import choose_held_out
from tuneward.errors import DataError
from tuneward.types import Row

PERCENTILES = (50, 90, 95, 99)
ROUNDED_TO = 64
"""Suggested limits are multiples of this many tokens."""


@dataclass(frozen=True, slots=True)
class Split:
    """How many rows a job would train and validate on, those that are too long left out."""

    train: int
    validation: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found."""

    report: DataReport
    rows: tuple[tuple[Row, int | None], ...]
    """The first rows of the training file, with their tokens where they were counted."""
    percentiles: dict[int, int] | None
    """Of the training rows' lengths; None where they were not counted."""
    suggested_limit: int | None
    """Tokens that hold every row, or all but the longest hundredth where that is far less."""
    split: Split | None
    """None where there is nothing to split."""
    split_problem: str | None
    """Why not."""


@dataclass(slots=True)
class _File:
    """What is noted of one file while it streams by."""

    first: int
    most: int
    rows: list[Row] = field(default_factory=list)
    prompts: dict[int, bytes] = field(default_factory=dict)
    """Line → digest of the prompt, of as many rows as a job may have."""
    tokens: dict[int, int] = field(default_factory=dict)
    """Line → tokens, of the same rows."""
    lengths: LengthCounter = field(default_factory=LengthCounter)

    def note(self, row: Row) -> None:
        if len(self.rows) < self.first:
            self.rows.append(row)
        if len(self.prompts) < self.most:
            self.prompts[row.line] = loose_prompt_digest(row)

    def measured(self, row: Row, tokens: int) -> int:
        self.lengths.add(tokens)
        if row.line in self.prompts:
            self.tokens[row.line] = tokens
        return tokens


def inspect_rows(
    train: Path,
    validation: Path | None = None,
    *,
    kind: RowKind,
    count_tokens: TokenCounter | None,
    max_tokens: int,
    holdout_share: float,
    seed: int = 0,
    first: int = 20,
    check: Callable[[], None] = lambda: None,
) -> Inspection:
    """Look at a training file, and at a validation file against it, in one pass each.

    Memory is that of `validate`, and some bytes for each row that a job may have.

    Args:
        train: JSONL of training rows.
        validation: JSONL of validation rows; None: a share of the training rows would be held out.
        kind: of the rows.
        count_tokens: length of a row; None leaves lengths uncounted.
        max_tokens: longer rows are dropped in training.
        holdout_share: part of the rows to hold out when there is no validation file.
        seed: of that choice.
        first: so many rows are returned.
        check: is called for each line; what it raises ends the inspection.
    """
    noted = {path: _File(first, kind.max_rows) for path in (train, validation) if path is not None}
    now = noted[train]

    def read(path: Path, max_line_bytes: int) -> Iterator[Row | Problem]:
        nonlocal now
        now = noted[path]
        for item in kind.read(path, max_line_bytes):
            check()
            if isinstance(item, Row):
                now.note(item)
            yield item

    counter = None if count_tokens is None else lambda row: now.measured(row, count_tokens(row))
    report = validate(
        train,
        validation,
        count_tokens=counter,
        max_prompt_length=max_tokens,
        kind=dataclasses.replace(kind, read=read),
    )
    found = noted[train]
    split, problem = _split(report, found, max_tokens, holdout_share, seed)
    has_lengths = bool(found.lengths.counts)
    return Inspection(
        report=report,
        rows=tuple((row, found.tokens.get(row.line)) for row in found.rows),
        percentiles={share: found.lengths.percentile(share / 100) for share in PERCENTILES} if has_lengths else None,
        suggested_limit=_suggested(found.lengths) if has_lengths else None,
        split=split,
        split_problem=problem,
    )


def _split(
    report: DataReport, file: _File, max_tokens: int, share: float, seed: int
) -> tuple[Split | None, str | None]:
    if report.validation is not None:
        return Split(report.train.usable, report.validation.usable), None
    if not report.train.rows:
        return None, None
    lines = list(file.prompts)
    try:
        held = choose_held_out([file.prompts[line] for line in lines], share, seed)
    except DataError as error:
        return None, str(error)
    kept = [index for index, line in enumerate(lines) if file.tokens.get(line, 0) <= max_tokens]
    validation = sum(index in held for index in kept)
    return Split(len(kept) - validation, validation), None


def _suggested(lengths: LengthCounter) -> int:
    longest, usual = max(lengths.counts), lengths.percentile(0.99)
    return math.ceil((longest if longest <= 2 * usual else usual) / ROUNDED_TO) * ROUNDED_TO
