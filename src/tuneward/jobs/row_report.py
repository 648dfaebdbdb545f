"""What the check of a job's rows found, kept in the job's folder so that all of it can be read back.

A failure names the first bad lines; here are the others, with counts and lengths. The file is written when a job is
validated, by its process, and read by the server.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tuneward.data.report import DataReport, FileReport
from tuneward.jobs.inputs import Inputs
from tuneward.runs.folder import write_json
from tuneward.types import Json

NAME = "data_report.json"

KEPT = 1000
"""Problems that are kept, errors first; the others are only counted."""


def save_row_report(
    home: Path, report: DataReport, inputs: Inputs, *, clean: Callable[[str], str] = lambda text: text
) -> None:
    """Keep a report.

    Args:
        home: of the job.
        report: of its rows.
        inputs: where the rows lie; callers know them as training and validation rows, not by these paths.
        clean: makes a text fit for callers.

    Raises:
        RunError: the disk is full or not writable.
    """
    found = report.to_json()
    found["train"] = without_path(report.train)
    found["validation"] = None if report.validation is None else without_path(report.validation)
    found["problems"] = [
        {
            **problem.to_json(),
            "file": "training" if problem.file == str(inputs.train) else "validation",
            "message": clean(problem.message),
        }
        for problem in report.problems[:KEPT]
    ]
    write_json(home / NAME, found)


def without_path(report: FileReport) -> dict[str, Json]:
    """A file's counts as callers see them."""
    return {name: value for name, value in report.to_json().items() if name != "path"}


def read_row_report(home: Path) -> dict[str, Json] | None:
    """The report of a job; None while there is none."""
    try:
        found = json.loads((home / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def problems_of(
    report: dict[str, Json],
    *,
    limit: int,
    after: int = 0,
    severity: Literal["error", "warning", "info"] | None = None,
    file: Literal["training", "validation"] | None = None,
) -> tuple[list[dict[str, Json]], bool]:
    """Some of a report's problems, and whether there are more.

    Args:
        report: as `read_row_report` gives it.
        limit: how many.
        after: how many to pass over, of those that are asked for.
        severity: of these alone.
        file: of this alone.
    """
    wanted = [
        problem
        for problem in report["problems"]
        if severity in (None, problem["severity"]) and file in (None, problem["file"])
    ]
    return wanted[after : after + limit], len(wanted) > after + limit
