"""The rows of a source as a file on this machine, for a look at them before there is a job."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuneward.data.invocation_logs import convert_logs
from tuneward.data.log_lines import LogReport
from tuneward.data.objects import ObjectStore
from tuneward.errors import DataError
from tuneward.jobs.files import FileService
from tuneward.jobs.spec import FileSource, LogsSource, Source, UriSource


@dataclass(frozen=True, slots=True)
class SourceRows:
    """Rows in a file that is there until the block ends."""

    path: Path
    bytes: int
    logs: LogReport | None = None
    """What became of logged calls, where the source is logs."""


@contextmanager
def rows_at_hand(
    source: Source,
    name: str,
    *,
    project_id: str,
    files: FileService,
    objects: ObjectStore,
    supervised: bool,
    largest_bytes: int,
    stop: Callable[[LogReport], bool] = lambda _: False,
    check: Callable[[], None] = lambda: None,
) -> Iterator[SourceRows]:
    """Bring the rows of a source here.

    Args:
        source: file, object or logs.
        name: of the file, without its ending.
        project_id: whose files count.
        files: uploaded files; they are not copied.
        objects: object storage.
        supervised: logged answers become completions.
        largest_bytes: an object that is larger is refused.
        stop: is asked before each logged call whether to leave the rest unread.
        check: is called for each piece of an object; what it raises ends the fetching.

    Raises:
        DataError, ObjectNotFoundError: the source cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="tuneward-rows-") as folder:
        path = Path(folder) / f"{name}.jsonl"
        report = None
        try:
            match source:
                case FileSource():
                    path.symlink_to(files.path(project_id, source.file_id))
                case UriSource():
                    _download(objects, source.uri, path, largest_bytes, check)
                case LogsSource():
                    report = convert_logs(objects, source, path, supervised=supervised, stop=stop)
        except OSError as error:
            raise DataError(f"The rows cannot be stored ({error.strerror or error}); free some space.") from None
        yield SourceRows(path, path.stat().st_size, report)


def _download(objects: ObjectStore, uri: str, target: Path, largest_bytes: int, check: Callable[[], None]) -> None:
    size = 0
    with target.open("wb") as file:
        for piece in objects.read(uri):
            check()
            size += len(piece)
            if size > largest_bytes:
                raise DataError(
                    f"{uri} has more than {largest_bytes / 2**20:,.0f} MiB, the most that is looked at; "
                    "name a smaller object, such as a sample of the rows."
                )
            file.write(piece)
