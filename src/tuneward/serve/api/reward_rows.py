"""Rows that a reward is tried on: as a request holds them, or the first ones of a source."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

from tuneward.data.problems import Findings, Severity
from tuneward.data.reader import iter_rows
from tuneward.data.schema import parse_row
from tuneward.data.strict_json import decode_object
from tuneward.errors import DataError
from tuneward.jobs.problems import InvalidRequestError
from tuneward.jobs.source_rows import rows_at_hand
from tuneward.jobs.spec import Source
from tuneward.serve.services import Services
from tuneward.types import Json, Row

LARGEST_BYTES = 256 << 20
"""Of an object whose first rows are wanted: it is fetched as a whole."""
LINES_PER_ROW = 20
"""Lines that are looked at for each row that is wanted."""


def given_rows(rows: Sequence[Json]) -> list[Row]:
    """Rows as lines of a file hold them. Raises InvalidRequestError for the first that is none."""
    return [_row(row, number) for number, row in enumerate(rows)]


def source_rows(source: Source, count: int, services: Services, project_id: str) -> list[Row]:
    """The first usable rows. Raises ObjectNotFoundError, and InvalidRequestError when there are none."""
    try:
        with rows_at_hand(
            source,
            "rows",
            project_id=project_id,
            files=services.files,
            objects=services.objects,
            supervised=False,
            largest_bytes=LARGEST_BYTES,
            stop=lambda report: report.kept >= count,
        ) as found:
            lines = itertools.islice(iter_rows(found.path), count * LINES_PER_ROW)
            rows = list(itertools.islice((item for item in lines if isinstance(item, Row)), count))
    except DataError as error:
        raise InvalidRequestError(str(error), param="source", code="invalid_source") from None
    if not rows:
        raise InvalidRequestError(
            "The source has no usable row at its beginning; check the data first.", param="source", code="no_rows"
        )
    return rows


def _row(row: Json, number: int) -> Row:
    findings = Findings("rows", number + 1)
    try:
        data = decode_object(json.dumps(row).encode(), findings)
    except RecursionError:
        raise InvalidRequestError(f"rows[{number}] is nested too deeply.", param=f"rows[{number}]") from None
    parsed = None if data is None else parse_row(data, findings)
    error = next((problem for problem in findings.problems() if problem.severity is Severity.ERROR), None)
    if parsed is None or error is not None:
        place = f"rows[{number}]" + (f".{error.field}" if error and error.field else "")
        message = f"{error.message} {error.fix}".strip() if error else "it is no row."
        raise InvalidRequestError(f"{place}: {message}", param=place, code="invalid_row")
    return parsed
