"""What `validate` found, as values: for the terminal, for `--json`, and for the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuneward.data.lengths import Lengths
from tuneward.data.problems import Code, Problem, Severity
from tuneward.data.reader import MAX_ROWS
from tuneward.types import Json

MIN_ROWS = 100
"""Fewest rows of a job that is more than a trial. Source: Bedrock RFT contract, section 3.2."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """Counts of one file."""

    path: str
    rows: int
    """Rows without an error."""
    bad_lines: int
    """Lines with an error."""
    too_long: int
    """Rows that are dropped because their prompt exceeds `max_prompt_length`."""
    duplicates: int
    """Rows whose prompt stands in an earlier row of the file."""
    conflicts: int
    """Duplicates whose reference answer differs from the first one's."""
    without_reference: int
    lengths: Lengths | None
    """Prompt lengths in tokens; None when they were not counted or there are no rows."""

    @property
    def usable(self) -> int:
        """Rows that training keeps."""
        return self.rows - self.too_long

    def to_json(self) -> dict[str, Json]:
        return {
            "path": self.path,
            "rows": self.rows,
            "bad_lines": self.bad_lines,
            "too_long": self.too_long,
            "usable": self.usable,
            "duplicates": self.duplicates,
            "conflicts": self.conflicts,
            "without_reference": self.without_reference,
            "prompt_tokens": None if self.lengths is None else self.lengths.to_json(),
        }


@dataclass(frozen=True, slots=True)
class DataReport:
    """Result of validating a training file, with or without a validation file."""

    train: FileReport
    validation: FileReport | None
    max_prompt_length: int
    """Tokens."""
    leaks: int
    """Validation rows whose prompt is also in the training file."""
    near_leaks: int
    """Further validation rows for which that holds when letter case and spacing are ignored."""
    problems: tuple[Problem, ...]
    """Errors first, then warnings, then remarks; at most 1,000 of one code and severity."""
    counts: Mapping[tuple[Severity, Code], int]
    """How many problems there are of each kind, the ones that were not kept included."""

    @property
    def ok(self) -> bool:
        """Whether training would accept the files."""
        return self.count(Severity.ERROR) == 0

    def count(self, severity: Severity) -> int:
        """Problems of one severity."""
        return sum(n for (found, _), n in self.counts.items() if found is severity)

    def to_json(self) -> dict[str, Json]:
        """Plain values, for `--json`."""
        return {
            "ok": self.ok,
            "errors": self.count(Severity.ERROR),
            "warnings": self.count(Severity.WARNING),
            "remarks": self.count(Severity.INFO),
            "max_prompt_length": self.max_prompt_length,
            "train": self.train.to_json(),
            "validation": None if self.validation is None else self.validation.to_json(),
            "leaks": self.leaks,
            "near_leaks": self.near_leaks,
            "counts": [
                {"severity": severity.value, "code": code.value, "count": n}
                for (severity, code), n in sorted(self.counts.items())
            ],
            "problems": [problem.to_json() for problem in self.problems],
        }


def size_class(rows: int) -> str:
    """What a number of training rows is good for. Source: Bedrock RFT contract, section 3.2."""
    if rows < MIN_ROWS:
        return "a trial"
    if rows < 200:
        return "a pilot"
    if rows <= 5_000:
        return "a typical size"
    if rows <= 10_000:
        return "a size for complex tasks"
    return "a very large size" if rows <= MAX_ROWS else "too many"
