"""The registry of reward functions on this machine, with the semantics of AWS Lambda."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, Unpack

from tuneward.errors import did_you_mean
from tuneward.home import data_home
from tuneward.rewards.functions.archive import list_files
from tuneward.rewards.functions.configuration import FunctionConfiguration
from tuneward.rewards.functions.log import FunctionLog
from tuneward.rewards.functions.problems import FunctionConflictError, FunctionNotFoundError, InvalidFunctionError
from tuneward.rewards.functions.reference import LATEST, FunctionReference, check_alias, check_name, parse_reference
from tuneward.rewards.functions.store import Alias, CodeFolder, FunctionRecord, FunctionStore, code_sha256


class FunctionSettings(TypedDict, total=False):
    """Settings of `FunctionConfiguration` that a caller may give; the others keep their value or default."""

    runtime: str
    timeout_s: int
    memory_mb: int
    environment: Mapping[str, str]
    description: str


class FunctionRegistry:
    """Functions in a folder; threads and processes may use it at the same time.

    References are names, `NAME:QUALIFIER` or ARNs (`parse_reference`). Methods raise FunctionNotFoundError for what is
    not there, FunctionConflictError and InvalidFunctionError as each says.

    Args:
        root: folder, made when something is first stored; None: `functions` in `data_home()`.
        region: stands in ARNs; None: `AWS_REGION`, `AWS_DEFAULT_REGION`, or `us-east-1`.
    """

    def __init__(self, root: Path | None = None, *, region: str | None = None) -> None:
        self.root = root or data_home() / "functions"
        self._region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        self._store = FunctionStore(self.root)

    def create(
        self, name: str, code: bytes, *, handler: str, **settings: Unpack[FunctionSettings]
    ) -> FunctionConfiguration:
        """Register a function.

        Args:
            code: zip archive (`pack_file` makes one of a file).
            handler: `MODULE.FUNCTION`.

        Raises:
            FunctionConflictError: the name is taken.
            InvalidFunctionError: a setting or the archive breaks the rules, or the handler's file is not in it.
        """
        check_name(name)
        configuration = FunctionConfiguration(
            name, handler, code_sha256(code), len(code), _now(), region=self._region, **settings
        )
        configuration.check()
        _check_handler(configuration, code)
        with self._store.locked():
            if self._store.read(name):
                raise FunctionConflictError(f"Function {name} exists already. Update or delete it, or choose a name.")
            self._store.add_code(name, code)
            self._store.write(name, FunctionRecord(configuration))
        return configuration

    def update(
        self, name: str, *, code: bytes | None = None, handler: str | None = None, **settings: Unpack[FunctionSettings]
    ) -> FunctionConfiguration:
        """Change `$LATEST`; published versions stay as they are.

        Args:
            code: new zip archive; None: as it is.
            handler: `MODULE.FUNCTION`; None: as it is.

        Raises:
            InvalidFunctionError: as `create`.
        """
        with self._store.locked():
            record = self._record(name)
            handler = handler or record.latest.handler
            configuration = replace(record.latest, handler=handler, last_modified=_now(), **settings)
            if code is not None:
                configuration = replace(configuration, code_sha256=code_sha256(code), code_bytes=len(code))
            configuration.check()
            _check_handler(configuration, code or self._store.read_code(name, record.latest.code_sha256))
            if code is not None:
                self._store.add_code(name, code)
            record.latest = configuration
            self._store.write(name, record)
        return configuration

    def publish(self, name: str, description: str | None = None) -> FunctionConfiguration:
        """Freeze `$LATEST` as the next version; when nothing changed since the last one, that one is answered.

        Args:
            description: of the version; None: the function's.
        """
        with self._store.locked():
            record = self._record(name)
            newest = next(reversed(record.versions.values()), None)
            if newest and _same(newest, record.latest):
                return newest
            version = str(record.next_version)
            published = replace(record.latest, version=version, description=description or record.latest.description)
            published.check()
            record.versions[version] = published
            record.next_version += 1
            self._store.write(name, record)
        return published

    def set_alias(self, name: str, alias: str, version: str, description: str = "") -> Alias:
        """Make an alias or move it to another version.

        Raises:
            InvalidFunctionError: the alias cannot have this name.
        """
        check_alias(alias)
        with self._store.locked():
            record = self._record(name)
            _version(record, version)
            record.aliases[alias] = Alias(alias, version, description)
            self._store.write(name, record)
            return record.aliases[alias]

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias; the version stays."""
        with self._store.locked():
            record = self._record(name)
            if record.aliases.pop(alias, None) is None:
                raise FunctionNotFoundError(f"Function {name} has no alias {alias}.")
            self._store.write(name, record)

    def delete(self, name: str, version: str | None = None) -> None:
        """Delete a function with all its versions and its log, or one published version.

        Raises:
            FunctionConflictError: an alias names the version.
            InvalidFunctionError: `$LATEST` goes only with the whole function.
        """
        with self._store.locked():
            record = self._record(name)
            if version is None:
                self._store.remove(name)
                return
            if version == LATEST:
                raise InvalidFunctionError(f"{LATEST} of function {name} can be deleted only with the whole function.")
            if users := [alias.name for alias in record.aliases.values() if alias.version == version]:
                raise FunctionConflictError(
                    f"Version {version} of function {name} is what alias {', '.join(users)} names. Move it first."
                )
            _version(record, version)
            del record.versions[version]
            self._store.write(name, record)

    def get(self, reference: str) -> FunctionConfiguration:
        """The version that a reference names; `$LATEST` without a qualifier."""
        parsed = _local(reference)
        return _resolve(self._record(parsed.name), parsed.qualifier)

    def functions(self) -> list[FunctionConfiguration]:
        """`$LATEST` of every function, by name."""
        records = (self._store.read(name) for name in self._store.names())
        return [record.latest for record in records if record]

    def versions(self, name: str) -> list[FunctionConfiguration]:
        """`$LATEST`, then the published versions, oldest first."""
        record = self._record(name)
        return [record.latest, *record.versions.values()]

    def aliases(self, name: str) -> list[Alias]:
        """By name."""
        return sorted(self._record(name).aliases.values(), key=lambda alias: alias.name)

    def code(self, reference: str) -> bytes:
        """The archive of a version, as it was sent."""
        with self._store.locked():
            configuration = self.get(reference)
            return self._store.read_code(configuration.name, configuration.code_sha256)

    def open_code(self, reference: str) -> tuple[FunctionConfiguration, CodeFolder]:
        """A version and its unpacked code, which stays in place until it is closed."""
        with self._store.locked():
            configuration = self.get(reference)
            return configuration, self._store.open_code(configuration.name, configuration.code_sha256)

    def log(self, name: str) -> FunctionLog:
        """What local calls of a function wrote."""
        self._record(name)
        return FunctionLog(self._store.folder(name) / "log")

    def _record(self, name: str) -> FunctionRecord:
        check_name(name)
        record = self._store.read(name)
        if record is None:
            names = self._store.names()
            known = f" Known: {', '.join(names[:10])}." if names else " None is registered; see `tuneward functions`."
            raise FunctionNotFoundError(f"No function {name} here{did_you_mean(name, names) or '.'}{known}")
        return record


def _local(reference: str) -> FunctionReference:
    parsed = parse_reference(reference)
    if not parsed.is_local:
        raise FunctionNotFoundError(f"{reference} is a function of AWS account {parsed.account}, not of this machine.")
    return parsed


def _resolve(record: FunctionRecord, qualifier: str | None) -> FunctionConfiguration:
    alias = record.aliases.get(qualifier or "")
    return _version(record, alias.version if alias else qualifier or LATEST)


def _version(record: FunctionRecord, version: str) -> FunctionConfiguration:
    if version == LATEST:
        return record.latest
    if version not in record.versions:
        known = ", ".join([LATEST, *record.versions, *record.aliases])
        raise FunctionNotFoundError(f"Function {record.latest.name} has no version or alias {version}; known: {known}.")
    return record.versions[version]


def _same(version: FunctionConfiguration, latest: FunctionConfiguration) -> bool:
    """Nothing that counts was changed since the version was published."""
    return version == replace(
        latest, version=version.version, last_modified=version.last_modified, description=version.description
    )


def _check_handler(configuration: FunctionConfiguration, code: bytes) -> None:
    files = list_files(code)
    if configuration.module_path not in files:
        modules = [file for file in files if file.endswith(".py")]
        found = f"Python files found: {', '.join(modules[:10])}" if modules else "it has no Python file"
        raise InvalidFunctionError(
            f"Function {configuration.name}: the archive has no {configuration.module_path} for handler "
            f"{configuration.handler} ({found}). Name the handler as MODULE.FUNCTION."
        )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
