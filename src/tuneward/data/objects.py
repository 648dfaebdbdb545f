"""Objects by address, `s3://BUCKET/KEY`: in object storage, or in a folder that the operator names in its stead.

Requests name objects, never where the storage is: that comes from the server's own configuration alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tuneward.config import StorageConfig
from tuneward.errors import DataError

PROBE = ".write_access_check_file.tmp"

_URI = re.compile(r"s3://([a-z0-9][-.a-z0-9]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object under a prefix."""

    uri: str
    bytes: int


class Buckets(Protocol):
    """A place that holds objects. Every method raises DataError."""

    def download(self, bucket: str, key: str, target: Path) -> None: ...

    def read(self, bucket: str, key: str) -> Iterator[bytes]: ...

    def upload(self, source: Path | bytes, bucket: str, key: str) -> None: ...

    def list(self, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
        """Key and bytes of the object named by the prefix, and of those in the folder that it names."""
        ...

    def delete(self, bucket: str, key: str) -> None: ...


class ObjectStore:
    """Reads and writes objects, streaming whatever their size; threads may share it.

    Every method raises DataError with what is wrong and what to do (no such bucket or key, access denied, not
    reachable after retries, a bucket that the configuration does not allow).
    """

    def __init__(self, config: StorageConfig):
        self._config = config
        self._buckets = _open(config)

    def download(self, uri: str, target: Path) -> None:
        """Fetch an object into a file, which is replaced as a whole."""
        self._buckets.download(*self._object(uri), target)

    def read(self, uri: str) -> Iterator[bytes]:
        """The content, in pieces; goes on where it was when the connection breaks."""
        return self._buckets.read(*self._object(uri))

    def upload(self, source: Path | bytes, uri: str) -> None:
        """Store a file or some bytes under an address, in parts when it is large."""
        self._buckets.upload(source, *self._object(uri))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """The object of this address if there is one, and all objects in the folder of this address, by name."""
        bucket, key = self._place(prefix)
        for found, size in self._buckets.list(bucket, key):
            yield ObjectInfo(f"s3://{bucket}/{found}", size)

    def check(self, uri: str, *, is_prefix: bool = False) -> None:
        """Whether this can be the address of an object here, or of a folder; nothing is asked of the storage."""
        _ = self._place(uri) if is_prefix else self._object(uri)

    def probe_write(self, prefix: str) -> None:
        """Write and delete `PREFIX/.write_access_check_file.tmp` (Bedrock RFT contract, 6.4)."""
        bucket, key = self._place(prefix)
        probe = f"{key.rstrip('/')}/{PROBE}".lstrip("/")
        self._buckets.upload(b"", bucket, probe)
        self._buckets.delete(bucket, probe)

    def _object(self, uri: str) -> tuple[str, str]:
        bucket, key = self._place(uri)
        if not key or key.endswith("/"):
            raise DataError(f"{uri} names no object; expected s3://BUCKET/KEY.")
        return bucket, key

    def _place(self, uri: str) -> tuple[str, str]:
        match = _URI.fullmatch(uri)
        key = match[2] or "" if match else ""
        # Parts such as `..` are legal keys, and a way out of a folder wherever keys become paths.
        if not match or any(part in (".", "..") for part in key.split("/")) or any(ord(sign) < 32 for sign in key):
            raise DataError(f"{uri[:200]!r} is no address of an object; expected s3://BUCKET/KEY.")
        allowed = self._config.buckets
        if allowed is not None and match[1] not in allowed:
            raise DataError(
                f"The bucket {match[1]} may not be used here; the server's configuration (storage.buckets) "
                "lists those that may."
            )
        return match[1], key


def _open(config: StorageConfig) -> Buckets:
    from tuneward.data.folder_buckets import FolderBuckets
    from tuneward.data.s3 import S3Buckets

    return FolderBuckets(config.folder) if config.folder is not None else S3Buckets(config.endpoint_url)
