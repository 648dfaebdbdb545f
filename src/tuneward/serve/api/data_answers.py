"""From what was found in a dataset to what is told of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tuneward.data.inspection import Inspection
from tuneward.data.lengths import Lengths
from tuneward.data.log_lines import LogReport
from tuneward.data.problems import Problem, Severity
from tuneward.data.report import FileReport, size_class
from tuneward.jobs.source_rows import SourceRows
from tuneward.serve.api.data_shapes import (
    Bar,
    FileCounts,
    Inspected,
    LogCounts,
    Overlap,
    PreviewMessage,
    PreviewRow,
    ProblemExample,
    ProblemGroup,
    SplitCounts,
    TokenLengths,
)
from tuneward.types import Json, Row

SHOWN_EXAMPLES = 20
"""Problems of one kind that are told with their lines; all are counted."""
SHOWN_CHARACTERS = 4_000
"""Of one text."""
PREVIEW_CHARACTERS = 400_000
"""Of all texts together; rows after that are left out."""
SHOWN_REASONS = 20


def answer(found: Inspection, train: SourceRows, validation: SourceRows | None, note: str | None) -> Inspected:
    """An inspection as it is told."""
    report = found.report
    held_out = report.validation
    return Inspected(
        ok=report.ok,
        errors=report.count(Severity.ERROR),
        warnings=report.count(Severity.WARNING),
        remarks=report.count(Severity.INFO),
        train=_counts(report.train, train, found.percentiles or {}),
        validation=_counts(held_out, validation, {}) if held_out is not None and validation is not None else None,
        overlap=None if held_out is None else Overlap(same=report.leaks, nearly=report.near_leaks),
        split=None if found.split is None else SplitCounts(train=found.split.train, validation=found.split.validation),
        split_problem=found.split_problem,
        max_tokens=report.max_prompt_length,
        suggested_max_tokens=found.suggested_limit,
        lengths_note=note,
        problems=_groups(found, train.path),
        rows=_preview(found.rows),
        logs=log_counts(train.logs),
        validation_logs=None if validation is None else log_counts(validation.logs),
    )


def log_counts(report: LogReport | None) -> LogCounts | None:
    """A report as it is told."""
    if report is None:
        return None
    skipped = dict(report.skipped.most_common(SHOWN_REASONS))
    return LogCounts(
        objects=report.objects, records=report.records, kept=report.kept, skipped=skipped, complete=report.is_whole
    )


def _counts(report: FileReport, rows: SourceRows, percentiles: dict[int, int]) -> FileCounts:
    return FileCounts(
        bytes=rows.bytes,
        rows=report.rows,
        bad_lines=report.bad_lines,
        too_long=report.too_long,
        usable=report.usable,
        duplicates=report.duplicates,
        conflicts=report.conflicts,
        without_reference=report.without_reference,
        size=size_class(report.rows),
        lengths=_lengths(report.lengths, percentiles),
    )


def _lengths(lengths: Lengths | None, percentiles: dict[int, int]) -> TokenLengths | None:
    if lengths is None:
        return None
    bars = [Bar(first=first, last=last, rows=count) for first, last, count in lengths.bins]
    return TokenLengths(
        count=lengths.count,
        min=lengths.minimum,
        mean=round(lengths.mean, 1),
        max=lengths.maximum,
        percentiles=percentiles,
        histogram=bars,
    )


def _groups(found: Inspection, train: Path) -> list[ProblemGroup]:
    by_kind: dict[tuple[Severity, str], list[Problem]] = {}
    for problem in found.report.problems:
        by_kind.setdefault((problem.severity, problem.code), []).append(problem)
    groups = [
        ProblemGroup(
            severity=severity.value,
            code=code,
            count=found.report.counts[severity, problems[0].code],
            # What concerns the whole file sums up the lines, so it comes first.
            examples=[
                ProblemExample(
                    file="training" if problem.file == str(train) else "validation",
                    line=problem.line,
                    field=problem.field,
                    message=problem.message,
                    fix=problem.fix,
                )
                for problem in sorted(problems, key=lambda problem: problem.line > 0)[:SHOWN_EXAMPLES]
            ],
        )
        for (severity, code), problems in by_kind.items()
    ]
    order = {severity.value: rank for rank, severity in enumerate(Severity)}
    return sorted(groups, key=lambda group: (order[group.severity], -group.count))


def _preview(rows: Sequence[tuple[Row, int | None]]) -> list[PreviewRow]:
    shown: list[PreviewRow] = []
    left = PREVIEW_CHARACTERS
    for row, tokens in rows:
        messages = [_message(message) for message in row.messages]
        reference, metadata = _text(row.reference_answer), _text(dict(row.metadata) or None)
        left -= sum(len(message.content) for message in messages) + len(reference or "") + len(metadata or "")
        if left < 0 and shown:
            break
        shown.append(
            PreviewRow(
                line=row.line,
                id=row.id[:200],
                messages=messages,
                reference_answer=reference,
                metadata=metadata,
                tools=len(row.tools),
                tokens=tokens,
            )
        )
    return shown


def _message(message: Json) -> PreviewMessage:
    content = str(message["content"])
    return PreviewMessage(
        role=message["role"], content=content[:SHOWN_CHARACTERS], is_cut=len(content) > SHOWN_CHARACTERS
    )


def _text(value: Json) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
