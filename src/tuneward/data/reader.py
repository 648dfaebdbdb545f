"""Rows of a JSONL file: as a stream for validation, as a list for training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tuneward.data.keys import digest
from tuneward.data.lines import MAX_LINE_BYTES, Line, iter_lines
from tuneward.data.problems import Code, Findings, Problem, Severity
from tuneward.data.schema import parse_row
from tuneward.data.strict_json import decode_object
from tuneward.errors import DataError
from tuneward.types import Row

MAX_ROWS = 20_000
"""Most rows of a job, training and validation together. Source: Bedrock RFT contract, section 3.2."""

MAX_TRACKED_ROWS = 100_000
"""Rows whose digests are kept for finding repetitions: five times what a job may have, and about 20 MB."""

MAX_NAMED_PROBLEMS = 10
"""Problems that `read_rows` puts into its error."""


def iter_rows(path: Path, *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Row | Problem]:
    """Stream a file. Memory: one line, plus 16-byte digests of the ids of the first 100,000 rows.

    Blank lines are skipped. Every other line gives either one `Row`, possibly after problems that are not errors,
    or at least one problem that is. A file that cannot be read, or holds nothing, gives one error with line 0.

    Args:
        path: JSONL in UTF-8; LF or CRLF.
        max_line_bytes: longest accepted line; a longer one becomes a problem.
    """
    if path.suffix.lower() != ".jsonl":
        text = "the file name does not end in .jsonl."
        fix = "Rename it; hosted services refuse other names."
        yield Problem(str(path), 0, "", Severity.WARNING, Code.FILE_NAME, text, fix)
    line_of_id: dict[bytes, int] = {}
    is_empty = True
    try:
        for line in iter_lines(path, max_line_bytes):
            if line.raw is not None and not line.raw.strip():
                continue
            findings = Findings(str(path), line.number)
            row = _read_line(line, findings, max_line_bytes)
            if row is not None:
                row = _check_unique(row, line_of_id, findings)
            is_empty = False
            yield from findings.problems()
            if row is not None:
                yield row
    except OSError as error:
        yield _file_problem(path, error)
        return
    if is_empty:
        yield _file_error(path, "the file holds no rows.", "Write one JSON object with messages on each line.")


def read_rows(path: Path, *, max_rows: int = MAX_ROWS) -> list[Row]:
    """All rows of a file, for training.

    Raises:
        DataError: a line has an error, or there are more than `max_rows` rows; the text names the first ten
            problems. Warnings and remarks are for `validate`.
    """
    rows: list[Row] = []
    errors: list[str] = []
    count = 0
    for item in iter_rows(path):
        if isinstance(item, Row):
            if not count:
                rows.append(item)
            if len(rows) > max_rows:
                raise DataError(f"{path}: more than {max_rows:,} rows. Train on a sample of them.")
        elif item.severity is Severity.ERROR:
            rows.clear()
            count += 1
            if count <= MAX_NAMED_PROBLEMS:
                errors.append(str(item))
    if not count:
        return rows
    if count > len(errors):
        errors.append(f"… and {count - len(errors):,} more.")
    errors.append(f"For the whole list: tuneward validate {path}")
    raise DataError("\n".join(errors))


def _read_line(line: Line, findings: Findings, max_line_bytes: int) -> Row | None:
    if line.raw is None:
        size = f"{line.size_bytes / (1 << 20):.1f} MiB"
        findings.error(
            Code.LINE_TOO_LONG,
            "",
            f"the line is {size} long; at most {max_line_bytes / (1 << 20):g} MiB are read.",
            "Shorten the row, or check that rows are separated by line ends.",
        )
        return None
    data = decode_object(line.raw, findings)
    return None if data is None else parse_row(data, findings)


def _check_unique(row: Row, line_of_id: dict[bytes, int], findings: Findings) -> Row | None:
    """The row, or None when its id names an earlier row: ids name the groups of completions."""
    if len(line_of_id) >= MAX_TRACKED_ROWS:
        return row
    first = line_of_id.setdefault(digest(row.id), row.line)
    if first == row.line:
        return row
    findings.error(
        Code.ID, "id", f'id "{row.id[:40]}" is already used in line {first}.', "Give each row an id of its own."
    )
    return None


def _file_problem(path: Path, error: OSError) -> Problem:
    if isinstance(error, FileNotFoundError):
        return _file_error(path, "no such file.", "Check the path.")
    if isinstance(error, IsADirectoryError):
        return _file_error(path, "this is a folder; expected a JSONL file.", "Name the file in it.")
    return _file_error(path, f"the file cannot be read ({error.strerror or error}).", "Check its permissions.")


def _file_error(path: Path, message: str, fix: str) -> Problem:
    return Problem(str(path), 0, "", Severity.ERROR, Code.FILE, message, fix)
