"""Objects by address: `s3://BUCKET/KEY` through boto3's usual settings, everything else local files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tuneward.config import StorageConfig


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object under a prefix."""

    uri: str
    bytes: int


class ObjectStore:
    """Reads and writes objects, streaming whatever their size; threads may share it.

    Every method raises DataError with what is wrong and what to do (no such bucket or key, access denied, not
    reachable after retries, a bucket that the configuration does not allow).
    """

    def __init__(self, config: StorageConfig):
        self._config = config

    def download(self, uri: str, target: Path) -> None:
        """Fetch an object into a file, which is replaced as a whole."""
        raise NotImplementedError

    def read(self, uri: str) -> Iterator[bytes]:
        """The content, in pieces."""
        raise NotImplementedError

    def upload(self, source: Path | bytes, uri: str) -> None:
        """Store a file or some bytes under an address, in parts when it is large."""
        raise NotImplementedError

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects under a prefix, by name."""
        raise NotImplementedError

    def probe_write(self, prefix: str) -> None:
        """Write and delete `PREFIX/.write_access_check_file.tmp` (Bedrock RFT contract, 6.4)."""
        raise NotImplementedError
