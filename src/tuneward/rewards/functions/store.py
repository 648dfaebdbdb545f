"""Files of one function: its description, its code, unpacked and packed, and its log.

ROOT/.lock                     held by whoever changes anything
ROOT/NAME/function.json        versions and aliases; replaced as a whole, so readers need no lock
ROOT/NAME/code/HASH.zip        as it was sent; readers of the folder beside it hold a shared lock on it
ROOT/NAME/code/HASH/           unpacked
ROOT/NAME/log, log.1           output of local calls
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from tuneward.rewards.functions.archive import unpack
from tuneward.rewards.functions.configuration import FunctionConfiguration
from tuneward.rewards.functions.problems import InvalidFunctionError


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for a version, which can be moved to another."""

    name: str
    version: str
    description: str = ""


@dataclass(slots=True)
class Attributes:
    """What belongs to a function as a whole, beside its versions."""

    tags: dict[str, str] = field(default_factory=dict)
    policies: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Qualifier, or an empty text for the function itself → statements about who may call it; kept to be read back."""
    reserved_concurrency: int | None = None
    """Calls at the same time, at most; 0: none may be made; None: as many as the machine has processors."""


@dataclass(slots=True)
class FunctionRecord:
    """What `function.json` holds."""

    latest: FunctionConfiguration
    versions: dict[str, FunctionConfiguration] = field(default_factory=dict)
    """Published versions by number, oldest first."""
    aliases: dict[str, Alias] = field(default_factory=dict)
    next_version: int = 1
    """Numbers of deleted versions do not come back."""
    attributes: Attributes = field(default_factory=Attributes)

    def as_json(self) -> dict[str, Any]:
        return {
            "latest": self.latest.as_json(),
            "versions": [version.as_json() for version in self.versions.values()],
            "aliases": {name: [alias.version, alias.description] for name, alias in self.aliases.items()},
            "next_version": self.next_version,
            "attributes": asdict(self.attributes),
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> FunctionRecord:
        versions = [FunctionConfiguration(**version) for version in tree["versions"]]
        return cls(
            FunctionConfiguration(**tree["latest"]),
            {version.version: version for version in versions},
            {name: Alias(name, *alias) for name, alias in tree["aliases"].items()},
            tree["next_version"],
            Attributes(**tree.get("attributes", {})),
        )


@dataclass(frozen=True, slots=True)
class CodeFolder:
    """Unpacked code that stays where it is until `close`, even when the function is updated or deleted."""

    path: Path
    _lock: IO[bytes]

    def close(self) -> None:
        """Let go of it; safe to call twice."""
        self._lock.close()


def code_sha256(data: bytes) -> str:
    """SHA-256 in base64, as AWS gives it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class FunctionStore:
    """Reads and writes the files; every method that changes something is called with `locked` held."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process and thread from changing the registry."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.root / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def names(self) -> list[str]:
        return sorted(path.parent.name for path in self.root.glob("*/function.json"))

    def folder(self, name: str) -> Path:
        return self.root / name

    def read(self, name: str) -> FunctionRecord | None:
        """The function's record; None when there is no such function."""
        file = self.folder(name) / "function.json"
        try:
            return FunctionRecord.from_json(json.loads(file.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidFunctionError(
                f"{file}: not a function's description ({type(error).__name__}: {error}). Restore it, or delete it."
            ) from None

    def write(self, name: str, record: FunctionRecord) -> None:
        """Replace the function's record, then remove code that it no longer needs."""
        folder = self.folder(name)
        folder.mkdir(exist_ok=True, mode=0o700)
        _replace(folder / "function.json", json.dumps(record.as_json(), indent=1).encode())
        self._prune(name, {record.latest.code_sha256, *(v.code_sha256 for v in record.versions.values())})

    def remove(self, name: str) -> None:
        """Forget the function; code that somebody still runs stays until they are done."""
        (self.folder(name) / "function.json").unlink()
        for folder in self.root.iterdir():
            if folder.is_dir() and not (folder / "function.json").exists():
                self._prune(folder.name, set())
                if not any((folder / "code").iterdir()):
                    shutil.rmtree(folder)

    def add_code(self, name: str, data: bytes) -> None:
        """Keep an archive and unpack it.

        Raises:
            InvalidFunctionError: as `unpack`.
        """
        folder = self._code(name, code_sha256(data))
        packed = folder.with_suffix(".zip")
        if packed.exists():
            return
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as scratch:
            fresh = Path(scratch) / "code"
            fresh.mkdir()
            unpack(data, fresh)
            shutil.rmtree(folder, ignore_errors=True)  # of a process that ended between the two steps below
            fresh.rename(folder)
        _replace(packed, data)

    def read_code(self, name: str, sha256: str) -> bytes:
        """The archive as it was sent."""
        return self._code(name, sha256).with_suffix(".zip").read_bytes()

    def open_code(self, name: str, sha256: str) -> CodeFolder:
        """The unpacked archive, held in place; called with `locked` held."""
        folder = self._code(name, sha256)
        file = folder.with_suffix(".zip").open("rb")
        fcntl.flock(file, fcntl.LOCK_SH)
        return CodeFolder(folder, file)

    def _code(self, name: str, sha256: str) -> Path:
        return self.folder(name) / "code" / base64.b64decode(sha256).hex()

    def _prune(self, name: str, needed: set[str]) -> None:
        kept = {self._code(name, sha256).with_suffix(".zip") for sha256 in needed}
        for packed in set((self.folder(name) / "code").glob("*.zip")) - kept:
            with packed.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # Somebody runs it; the next change will find it again.
                shutil.rmtree(packed.with_suffix(""), ignore_errors=True)
                packed.unlink()


def _replace(file: Path, data: bytes) -> None:
    """Write a file so that a reader finds the old content or the new, even after a power failure."""
    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
