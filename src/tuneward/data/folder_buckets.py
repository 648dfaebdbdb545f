"""Buckets as folders, for machines without object storage: `s3://BUCKET/KEY` is the file FOLDER/BUCKET/KEY."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuneward.errors import DataError

PIECE_BYTES = 1 << 20
INCOMING = ".incoming-"
"""Begins the names of files that are not whole yet, or never will be; they are no objects."""


class FolderBuckets:
    """`Buckets` in a folder. A bucket is there when its folder is; files of the folder alone are reached.

    Args:
        folder: the operator's.
    """

    def __init__(self, folder: Path):
        self._folder = folder.resolve()

    def download(self, bucket: str, key: str, target: Path) -> None:
        with _explained(bucket, key):
            _copy(self._path(bucket, key), target)

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        with _explained(bucket, key), self._path(bucket, key).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    def upload(self, source: Path | bytes, bucket: str, key: str) -> None:
        with _explained(bucket, key):
            target = self._path(bucket, key)
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(source, target)

    def list(self, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
        with _explained(bucket, prefix):
            root = self._bucket(bucket)
            start = self._path(bucket, prefix) if prefix else root
            paths = [start] if start.is_file() and not prefix.endswith("/") else sorted(start.rglob("*"))
            files = (path for path in paths if path.is_file() and not path.name.startswith(INCOMING))
            found = sorted((path.relative_to(root).as_posix(), path) for path in files)
            yield from ((key, path.stat().st_size) for key, path in found)

    def delete(self, bucket: str, key: str) -> None:
        with _explained(bucket, key):
            self._path(bucket, key).unlink(missing_ok=True)

    def _bucket(self, bucket: str) -> Path:
        root = self._folder / bucket
        if not root.is_dir():
            raise DataError(f"There is no bucket {bucket}: {root} is no folder; make it, or name another bucket.")
        return root

    def _path(self, bucket: str, key: str) -> Path:
        root = self._bucket(bucket)
        path = (root / key).resolve()
        if not path.is_relative_to(root.resolve()):
            raise DataError(f"s3://{bucket}/{key} leads out of its bucket.")
        return path


def _copy(source: Path | bytes, target: Path) -> None:
    """Write a file aside and put it in its place."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=INCOMING)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if isinstance(source, bytes):
                file.write(source)
            else:
                with source.open("rb") as content:
                    shutil.copyfileobj(content, file, PIECE_BYTES)
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _explained(bucket: str, key: str) -> Iterator[None]:
    uri = f"s3://{bucket}/{key}"
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise DataError(f"{uri} does not exist; check the key.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise DataError(f"{uri} cannot be used ({reason}); check the folder's permissions and space.") from None
