"""Code of functions as an editor shows and saves it: texts by path instead of archives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuneward.rewards.functions.archive import pack_files, read_files
from tuneward.rewards.functions.configuration import FunctionConfiguration
from tuneward.rewards.functions.problems import InvalidFunctionError
from tuneward.rewards.functions.registry import FunctionRegistry
from tuneward.rewards.functions.source import suggested_handler

SHOWN_FILES = 100
SHOWN_BYTES = 256 << 10
"""Of one file; a larger one, and one that is not text, is listed without its content."""


@dataclass(frozen=True, slots=True)
class CodeFile:
    """One file of a function."""

    path: str
    bytes: int
    text: str | None
    """None: too large to be edited here, or not UTF-8."""


def code_files(archive: bytes) -> list[CodeFile]:
    """The first files of an archive, by path. Raises InvalidFunctionError."""
    files = read_files(archive)
    return [CodeFile(path, len(files[path]), _text(files[path])) for path in sorted(files)[:SHOWN_FILES]]


def new_function(
    registry: FunctionRegistry,
    name: str,
    files: Mapping[str, str],
    *,
    handler: str | None = None,
    description: str = "",
) -> FunctionConfiguration:
    """Register a function made of texts.

    Args:
        files: text by path.
        handler: `MODULE.FUNCTION`; None: `lambda_handler` of the only Python file at the top, or of
            `lambda_function.py`.

    Raises:
        FunctionConflictError: the name is taken.
        InvalidFunctionError: as `FunctionRegistry.create`.
    """
    content = {path: _bytes(path, text) for path, text in files.items()}
    return registry.create(
        name, pack_files(content), handler=handler or suggested_handler(content), description=description
    )


def edit(
    registry: FunctionRegistry, name: str, files: Mapping[str, str | None], *, revision: str | None = None
) -> FunctionConfiguration:
    """Put texts over the files of `$LATEST`; those that are not named stay.

    Args:
        files: text by path; None removes the file.
        revision: `revision_id` that `$LATEST` must have; None: any.

    Raises:
        FunctionRevisionError: it has another revision.
        InvalidFunctionError: as `FunctionRegistry.update`.
    """
    content = read_files(registry.code(name))
    for path, text in files.items():
        if text is None:
            content.pop(path, None)
        else:
            content[path] = _bytes(path, text)
    return registry.update(name, code=pack_files(content), revision=revision)


def restore(
    registry: FunctionRegistry, name: str, version: str, *, revision: str | None = None
) -> FunctionConfiguration:
    """Make the code and the handler of a version those of `$LATEST` again; raises as `edit`."""
    former = registry.get(f"{name}:{version}")
    code = registry.code(f"{name}:{version}")
    return registry.update(name, code=code, handler=former.handler, revision=revision)


def _text(content: bytes) -> str | None:
    if len(content) > SHOWN_BYTES:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _bytes(path: str, text: str) -> bytes:
    try:
        path.encode()
        return text.encode()
    except UnicodeEncodeError:
        shown = path.encode(errors="backslashreplace").decode()
        raise InvalidFunctionError(f"{shown[:200]}: the text holds half of a character; save it as UTF-8.") from None
