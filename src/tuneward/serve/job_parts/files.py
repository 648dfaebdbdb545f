"""The uploaded files that a job names."""

from __future__ import annotations

from pathlib import Path

from tuneward.jobs.problems import InvalidRequestError, ObjectNotFoundError
from tuneward.serve.services import Services

CHUNK_BYTES = 1 << 20


def check_file(file_id: str, param: str, services: Services, project_id: str) -> None:
    """Raises InvalidRequestError when a file is not there, or is not meant for fine-tuning."""
    try:
        file = services.files.get(project_id, file_id)
    except ObjectNotFoundError:
        raise InvalidRequestError(f"File '{file_id}' does not exist.", param=param, code="file_not_found") from None
    if file.purpose != "fine-tune":
        message = f"File '{file_id}' has the purpose {file.purpose}; upload it again with fine-tune."
        raise InvalidRequestError(message, param=param, code="invalid_file_purpose")


def count_lines(path: Path) -> int:
    """Lines of a file, the last one with or without an end."""
    count, last = 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            count, last = count + chunk.count(b"\n"), chunk[-1:]
    return count + (last != b"\n")
