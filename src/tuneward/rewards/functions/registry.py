"""The registry of reward functions on this machine, with the semantics of AWS Lambda."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypedDict, Unpack

from tuneward.rewards.functions.checks import (
    check_handler,
    check_revision,
    is_unchanged,
    now,
    pick_alias,
    pick_version,
)
from tuneward.rewards.functions.configuration import FunctionConfiguration
from tuneward.rewards.functions.problems import FunctionConflictError, InvalidFunctionError
from tuneward.rewards.functions.reference import LATEST, check_alias, check_name
from tuneward.rewards.functions.shelf import FunctionShelf
from tuneward.rewards.functions.store import Alias, Attributes, FunctionRecord, code_sha256


class FunctionSettings(TypedDict, total=False):
    """Settings of `FunctionConfiguration` that a caller may give; the others keep their value or default."""

    runtime: str
    timeout_s: int
    memory_mb: int
    environment: Mapping[str, str]
    description: str
    role: str


class FunctionRegistry(FunctionShelf):
    """Functions in a folder, to be made and changed.

    Methods raise FunctionNotFoundError for what is not there, FunctionConflictError and InvalidFunctionError as each
    says.
    """

    def create(
        self,
        name: str,
        code: bytes,
        *,
        handler: str,
        tags: Mapping[str, str] | None = None,
        **settings: Unpack[FunctionSettings],
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
            name, handler, code_sha256(code), len(code), now(), region=self._region, account=self.account, **settings
        )
        configuration.check()
        check_handler(configuration, code)
        with self._store.locked():
            if self._store.read(name):
                raise FunctionConflictError(f"Function {name} exists already. Update or delete it, or choose a name.")
            self._store.add_code(name, code)
            self._store.write(name, FunctionRecord(configuration, attributes=Attributes(tags=dict(tags or {}))))
        return configuration

    def update(
        self,
        name: str,
        *,
        code: bytes | None = None,
        handler: str | None = None,
        revision: str | None = None,
        dry_run: bool = False,
        **settings: Unpack[FunctionSettings],
    ) -> FunctionConfiguration:
        """Change `$LATEST`; published versions stay as they are.

        Args:
            code: new zip archive; None: as it is.
            handler: `MODULE.FUNCTION`; None: as it is.
            revision: `revision_id` that it must have; None: any.
            dry_run: only check.

        Raises:
            InvalidFunctionError: as `create`.
            FunctionRevisionError: it has another revision.
        """
        with self._store.locked():
            record = self._record(name)
            check_revision(record.latest, revision)
            handler = handler or record.latest.handler
            configuration = replace(record.latest, handler=handler, last_modified=now(), **settings)
            if code is not None:
                configuration = replace(configuration, code_sha256=code_sha256(code), code_bytes=len(code))
            configuration.check()
            check_handler(configuration, code or self._store.read_code(name, record.latest.code_sha256))
            if dry_run:
                return configuration
            if code is not None:
                self._store.add_code(name, code)
            record.latest = configuration
            self._store.write(name, record)
        return configuration

    def publish(
        self, name: str, description: str | None = None, *, revision: str | None = None, sha256: str | None = None
    ) -> FunctionConfiguration:
        """Freeze `$LATEST` as the next version; when nothing changed since the last one, that one is answered.

        Args:
            description: of the version; None: the function's.
            revision: `revision_id` that `$LATEST` must have; None: any.
            sha256: hash that its code must have, as AWS gives it; None: any.

        Raises:
            FunctionRevisionError: it has another revision.
            InvalidFunctionError: it has other code.
        """
        with self._store.locked():
            record = self._record(name)
            check_revision(record.latest, revision)
            if sha256 and sha256 != record.latest.code_sha256:
                raise InvalidFunctionError(
                    f"CodeSHA256 ({sha256[:100]}) is not that of {LATEST} of function {name}, which is "
                    f"{record.latest.code_sha256}."
                )
            newest = next(reversed(record.versions.values()), None)
            if newest and is_unchanged(newest, record.latest):
                return newest
            version = str(record.next_version)
            published = replace(record.latest, version=version, description=description or record.latest.description)
            published.check()
            record.versions[version] = published
            record.next_version += 1
            self._store.write(name, record)
        return published

    def set_alias(
        self, name: str, alias: str, version: str, description: str = "", *, is_new: bool | None = None
    ) -> Alias:
        """Make an alias or move it to another version.

        Args:
            is_new: True: there must be no such alias yet; False: there must be one; None: either.

        Raises:
            FunctionConflictError: `is_new`, and there is one.
            InvalidFunctionError: the alias cannot have this name.
        """
        check_alias(alias)
        with self._store.locked():
            record = self._record(name)
            if is_new and alias in record.aliases:
                raise FunctionConflictError(f"Alias {alias} of function {name} exists already. Update or delete it.")
            if is_new is False:
                pick_alias(record, alias)
            pick_version(record, version)
            record.aliases[alias] = Alias(alias, version, description)
            self._store.write(name, record)
            return record.aliases[alias]

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias; the version stays."""
        with self._store.locked():
            record = self._record(name)
            del record.aliases[pick_alias(record, alias).name]
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
            pick_version(record, version)
            del record.versions[version]
            self._store.write(name, record)

    def change_attributes(self, name: str, change: Callable[[Attributes], None]) -> Attributes:
        """Let `change` alter them, while nobody else does; what it raises leaves them as they were."""
        with self._store.locked():
            record = self._record(name)
            change(record.attributes)
            self._store.write(name, record)
            return record.attributes
