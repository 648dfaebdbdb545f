"""Small questions about versions of functions: which one is meant, is anything new in it, is the handler there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tuneward.rewards.functions.archive import list_files
from tuneward.rewards.functions.configuration import FunctionConfiguration
from tuneward.rewards.functions.problems import FunctionNotFoundError, FunctionRevisionError, InvalidFunctionError
from tuneward.rewards.functions.reference import LATEST
from tuneward.rewards.functions.store import Alias, FunctionRecord


def is_unchanged(version: FunctionConfiguration, latest: FunctionConfiguration) -> bool:
    """Nothing that counts was changed since the version was published."""
    return version == replace(
        latest, version=version.version, last_modified=version.last_modified, description=version.description
    )


def check_handler(configuration: FunctionConfiguration, code: bytes) -> None:
    """Raises InvalidFunctionError when the archive is unfit or the handler's file is not in it."""
    files = list_files(code)
    if configuration.module_path not in files:
        modules = [file for file in files if file.endswith(".py")]
        found = f"Python files found: {', '.join(modules[:10])}" if modules else "it has no Python file"
        raise InvalidFunctionError(
            f"Function {configuration.name}: the archive has no {configuration.module_path} for handler "
            f"{configuration.handler} ({found}). Name the handler as MODULE.FUNCTION."
        )


def now() -> str:
    """The time as AWS Lambda writes it: ISO 8601 with milliseconds, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def check_revision(configuration: FunctionConfiguration, revision: str | None) -> None:
    """Raises FunctionRevisionError when a revision is asked for and the function has another."""
    if revision and revision != configuration.revision_id:
        raise FunctionRevisionError(
            f"Function {configuration.name} has the revision {configuration.revision_id}, not the given one. "
            "Read it again, and repeat the change if it still makes sense."
        )


def resolve(record: FunctionRecord, qualifier: str | None) -> FunctionConfiguration:
    """The version that a qualifier names, through an alias if it is one. Raises FunctionNotFoundError."""
    alias = record.aliases.get(qualifier or "")
    return pick_version(record, alias.version if alias else qualifier or LATEST)


def pick_version(record: FunctionRecord, version: str) -> FunctionConfiguration:
    """A version by number or `$LATEST`. Raises FunctionNotFoundError."""
    if version == LATEST:
        return record.latest
    if version not in record.versions:
        known = ", ".join([LATEST, *record.versions, *record.aliases])
        raise FunctionNotFoundError(f"Function {record.latest.name} has no version or alias {version}; known: {known}.")
    return record.versions[version]


def pick_alias(record: FunctionRecord, alias: str) -> Alias:
    """An alias by name. Raises FunctionNotFoundError."""
    if alias not in record.aliases:
        raise FunctionNotFoundError(f"Function {record.latest.name} has no alias {alias}.")
    return record.aliases[alias]
