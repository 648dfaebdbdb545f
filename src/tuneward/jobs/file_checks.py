"""What is looked at while a file is taken in: purpose, name, and the first lines of training data.

Source: OpenAI RFT contract, 2.1. Rows are judged in full when a job validates its data.
"""

from __future__ import annotations

from pathlib import Path

from tuneward.data.lines import MAX_LINE_BYTES, iter_lines
from tuneward.data.problems import Code, Findings, Severity
from tuneward.data.schema import parse_row
from tuneward.data.strict_json import decode_object
from tuneward.jobs.problems import InvalidRequestError

CREATABLE = ("fine-tune", "evals", "batch", "assistants", "vision", "user_data")
"""Purposes that callers may give."""

PRODUCED = ("fine-tune-results", "batch_output", "assistants_output")
"""Purposes that the server gives."""

CHECKED_LINES = 10
LONGEST_NAME = 255
"""Characters."""

SHORTEST_LIFE_S = 3600
LONGEST_LIFE_S = 2592000


def is_plain(name: str) -> bool:
    """Whether a text can be an id; databases refuse some characters that JSON may hold."""
    return name.isascii() and name.isprintable()


def check_purpose(purpose: str, known: tuple[str, ...] = CREATABLE) -> None:
    """Raises InvalidRequestError when a purpose is none of those known."""
    if purpose not in known:
        raise InvalidRequestError(
            f"Invalid value for 'purpose': expected one of {', '.join(known)}.", param="purpose", code="invalid_value"
        )


def check_lifetime(seconds: int | None) -> None:
    """Raises InvalidRequestError for a lifetime out of range."""
    if seconds is not None and not SHORTEST_LIFE_S <= seconds <= LONGEST_LIFE_S:
        raise InvalidRequestError(
            f"Invalid value for 'expires_after.seconds': expected {SHORTEST_LIFE_S} to {LONGEST_LIFE_S}.",
            param="expires_after.seconds",
            code="invalid_value",
        )


def clean_name(filename: str, purpose: str, *, param: str = "file") -> str:
    """The last part of a file's name.

    Raises:
        InvalidRequestError: it is empty or too long, holds control characters, or is not `.jsonl` for `fine-tune`.
    """
    name = filename.replace("\\", "/").rpartition("/")[2].strip()
    if name in ("", ".", "..") or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidRequestError(
            f"The file's name must have 1 to {LONGEST_NAME} characters, and no control characters.",
            param=param,
            code="invalid_filename",
        )
    if purpose == "fine-tune" and not name.lower().endswith(".jsonl"):
        raise InvalidRequestError(
            f'"{name}" does not end in .jsonl; files for fine-tune hold one JSON object on each line.',
            param=param,
            code="invalid_file_format",
        )
    return name


def check_first_lines(path: Path) -> None:
    """Look at the first rows of training data.

    Raises:
        InvalidRequestError: one is no JSON object, or has no usable list of messages; or there is no row.
    """
    seen = size = 0
    for line in iter_lines(path):
        if line.raw is not None and not line.raw.strip():
            continue
        findings = Findings(path.name, line.number)
        if line.raw is None:
            raise _format_error(line.number, "", f"the line has more than {MAX_LINE_BYTES:,} bytes.")
        data = decode_object(line.raw, findings)
        if data is not None:
            parse_row(data, findings)
        for problem in findings.problems():
            is_form = problem.code in (Code.JSON, Code.ENCODING) or problem.field == "messages"
            if is_form and problem.severity is Severity.ERROR:
                raise _format_error(line.number, problem.field, problem.message)
        seen += 1
        size += line.size_bytes
        if seen >= CHECKED_LINES or size >= MAX_LINE_BYTES:
            return
    if not seen:
        raise InvalidRequestError(
            "Invalid file format. The file holds no rows; write one JSON object with messages on each line.",
            param="file",
            code="invalid_file_format",
        )


def _format_error(line: int, field: str, message: str) -> InvalidRequestError:
    key = f', key "{field}"' if field else ""
    return InvalidRequestError(
        f"Invalid file format. Line {line}{key}: {message}", param="file", code="invalid_file_format"
    )
