"""Code of a function as a user hands it over: a zip archive or one Python file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tuneward.rewards.functions.archive import list_files, pack_file
from tuneward.rewards.functions.problems import InvalidFunctionError

HANDLER_FUNCTION = "lambda_handler"
DEFAULT_MODULE = "lambda_function.py"


@dataclass(frozen=True, slots=True)
class FunctionSource:
    """An archive and the handler it suggests."""

    archive: bytes
    handler: str
    """Of the only Python file at the top of the archive, else of `lambda_function.py`."""


def read_source(file: Path) -> FunctionSource:
    """Read a .zip or .py file.

    Raises:
        InvalidFunctionError: it is neither, cannot be read, or the archive breaks the rules.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InvalidFunctionError(f"{file}: cannot be read ({error.strerror}).") from None
    if file.suffix == ".py":
        data = pack_file(file.name, data)
    elif file.suffix != ".zip":
        raise InvalidFunctionError(f"{file}: expected a .zip archive or a .py file.")
    return FunctionSource(data, suggested_handler(list_files(data)))


def suggested_handler(paths: Iterable[str]) -> str:
    """`MODULE.lambda_handler`: of the only Python file at the top, else of `lambda_function.py`."""
    top = [path for path in paths if path.endswith(".py") and "/" not in path]
    module = top[0] if len(top) == 1 else DEFAULT_MODULE
    return f"{module.removesuffix('.py')}.{HANDLER_FUNCTION}"
