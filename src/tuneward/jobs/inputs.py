"""The rows of a job: fetched from wherever they are into the job's own folder, in the form that training reads."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tuneward.data.invocation_logs import convert_logs
from tuneward.data.objects import ObjectStore
from tuneward.errors import DataError, PassingDataError
from tuneward.jobs.files import FileService
from tuneward.jobs.response_format import with_response_format
from tuneward.jobs.spec import FileSource, JobSpec, LogsSource, Source, UriSource

WAITS_S = (1.0, 5.0, 20.0, 60.0)
"""Between tries to reach a source; the object store itself tries each call several times."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where the rows of a job lie."""

    train: Path
    validation: Path | None
    """None: a share of the training rows is held out."""

    @property
    def are_there(self) -> bool:
        return self.train.is_file() and (self.validation is None or self.validation.is_file())


def inputs_of(spec: JobSpec, folder: Path) -> Inputs:
    """Paths of a job's rows in its folder for them, fetched or not."""
    return Inputs(folder / "train.jsonl", folder / "validation.jsonl" if spec.validation else None)


def fetch(
    spec: JobSpec,
    folder: Path,
    *,
    project_id: str,
    files: FileService,
    objects: ObjectStore,
    note: Callable[[str], None] = lambda _: None,
    wait: Callable[[float, PassingDataError], None] = lambda seconds, _: time.sleep(seconds),
) -> Inputs:
    """Bring a job's rows into a folder; what lies there already is replaced.

    Args:
        spec: of the job.
        folder: for the rows.
        project_id: whose files count.
        files: uploaded files.
        objects: object storage.
        note: is told what became of logged calls.
        wait: lets seconds pass after a source could not be reached; what it raises ends the fetching.

    Raises:
        DataError, ObjectNotFoundError: a source cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inputs = inputs_of(spec, folder)

    def bring(sources: Sequence[Source], target: Path) -> None:
        parts = []
        for number, source in enumerate(sources):
            part = target.with_name(f".{target.name}.{number}")
            part.unlink(missing_ok=True)
            match source:
                case FileSource():
                    shutil.copyfile(files.path(project_id, source.file_id), part)
                case UriSource():
                    objects.download(source.uri, part)
                case LogsSource():
                    report = convert_logs(objects, source, part, supervised=spec.method == "supervised")
                    note(f"{source.uri}: {report}")
            parts.append(part)
        whole = target.with_name(f".{target.name}.new")
        with whole.open("wb") as out:
            for part in parts:
                _append(part, out, spec)
            out.flush()
            os.fsync(out.fileno())
        os.replace(whole, target)
        for part in parts:
            part.unlink()

    try:
        for sources, target in (((spec.training,), inputs.train), (spec.validation, inputs.validation)):
            if target is not None:
                _patiently(bring, sources, target, wait)
    except OSError as error:
        raise DataError(f"The rows cannot be stored ({error.strerror or error}); free some space.") from None
    return inputs


def _patiently(
    bring: Callable[[Sequence[Source], Path], None],
    sources: Sequence[Source],
    target: Path,
    wait: Callable[[float, PassingDataError], None],
) -> None:
    for wait_s in WAITS_S:
        try:
            return bring(sources, target)
        except PassingDataError as error:
            wait(wait_s, error)
    return bring(sources, target)


def name_of(source: Source) -> str:
    """What a user calls a source."""
    return source.file_id if isinstance(source, FileSource) else source.uri


def _append(part: Path, out: BinaryIO, spec: JobSpec) -> None:
    """Copy rows; every one asks for the form of answers that the job wants, and every line has an end."""
    change: Callable[[bytes], bytes] | None = None
    if spec.response_format is not None:
        wanted = spec.response_format

        def change(line: bytes) -> bytes:
            try:
                row = json.loads(line)
            except ValueError:
                return line  # for the checks to find
            if not isinstance(row, dict):
                return line
            changed = with_response_format(row, wanted)
            return line if changed is row else json.dumps(changed, ensure_ascii=False).encode() + b"\n"

    with part.open("rb") as rows:
        last = b"\n"
        for line in rows:
            last = change(line) if change else line
            out.write(last)
        if not last.endswith(b"\n"):
            out.write(b"\n")
