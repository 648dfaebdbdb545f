"""One more row for a file. Files do not change once they are there, so the answer is another file that has the row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.data.lines import iter_lines
from tuneward.data.problems import Findings, Problem, Severity
from tuneward.data.schema import parse_row
from tuneward.data.strict_json import decode_object
from tuneward.jobs.files import FileService
from tuneward.jobs.incoming import disk_errors
from tuneward.jobs.problems import InvalidRequestError, ServiceError
from tuneward.store.tables import File, Project
from tuneward.types import Json

PURPOSE = "fine-tune"
DEFAULT_NAME = "rows.jsonl"


@dataclass(frozen=True, slots=True)
class Added:
    """A file with the row at its end."""

    file: File
    is_new: bool
    """False: a request before this one has made it."""
    rows: int
    problems: tuple[Problem, ...]
    """What training would warn of in the row."""


class _ThereAlreadyError(ServiceError):
    """The same content is there under the same name; undoes the transaction."""

    def __init__(self, file_id: str):
        super().__init__(f"{file_id} holds the same rows.")
        self.file_id = file_id


def add_row(
    files: FileService,
    project_id: str,
    row: Mapping[str, Json],
    *,
    file_id: str | None = None,
    filename: str | None = None,
) -> Added:
    """Store a file that holds the rows of another one and one more; the same request again gives the same file.

    Args:
        files: of the server.
        project_id: whose.
        row: as it would stand in a file.
        file_id: whose rows come first; None: none.
        filename: of the new file; None: that of the former one.

    Raises:
        ObjectNotFoundError: no such file.
        InvalidRequestError: training would refuse the row, or the file gets too large; or the name.
        StoreError: disk or database.
    """
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    former = None if file_id is None else files.get(project_id, file_id)
    path = None if former is None else files.path(project_id, former.id)
    name = filename or (former.filename if former else DEFAULT_NAME)
    problems = _check(line)
    rows = 0
    with files.receive(project_id) as incoming:
        for kept in () if path is None else _rows_of(path):
            rows += 1
            _check_unlike(row, kept, rows)
            incoming.write(kept + b"\n")
        rows += 1
        incoming.write(line + b"\n")
        try:
            file = files.keep(project_id, incoming, purpose=PURPOSE, filename=name, also=_refuse_twin)
        except _ThereAlreadyError as twin:
            return Added(files.get(project_id, twin.file_id), False, rows, problems)
    return Added(file, True, rows, problems)


def _rows_of(path: Path) -> Iterator[bytes]:
    """Lines without their ends; blank ones are left out."""
    with disk_errors():
        for line in iter_lines(path):
            if line.raw is None:
                raise InvalidRequestError(
                    f"Line {line.number} of the file is too long to be a row; repair the file first.", param="file_id"
                )
            if line.raw.strip():
                yield line.raw


def _check(line: bytes) -> tuple[Problem, ...]:
    """Raises InvalidRequestError when training would refuse the row; returns what it would warn of."""
    findings = Findings("row", 0)
    data = decode_object(line, findings)
    if data is not None:
        parse_row(data, findings)
    problems = findings.problems()
    for problem in problems:
        if problem.severity is Severity.ERROR:
            param = f"row.{problem.field}".rstrip(".")
            raise InvalidRequestError(f"{problem.message} {problem.fix}".strip(), param=param, code="invalid_row")
    return tuple(problems)


def _check_unlike(row: Mapping[str, Json], other: bytes, number: int) -> None:
    """Raises InvalidRequestError when two rows would have one id, which training refuses."""
    row_id = row.get("id")
    if not isinstance(row_id, str) or b'"id"' not in other:
        return
    there = decode_object(other, Findings("row", number))
    if there is not None and there.get("id") == row_id:
        raise InvalidRequestError(
            f'id "{row_id[:40]}" is already used in line {number}. Give the row another id, or none.',
            param="row.id",
            code="invalid_row",
        )


def _refuse_twin(session: Session, file: File) -> None:
    """One at a time in a project, so that of two same requests at once the second one sees what the first has made."""
    session.execute(select(Project.id).where(Project.id == file.project_id).with_for_update(key_share=True))
    alike = (File.project_id == file.project_id, File.sha256 == file.sha256, File.filename == file.filename)
    twin = session.scalar(
        select(File.id).where(*alike, File.purpose == PURPOSE, File.id != file.id, File.expires_at.is_(None))
    )
    if twin is not None:
        raise _ThereAlreadyError(twin)
