"""What is in a registry of reward functions."""

from __future__ import annotations

import os
from pathlib import Path

from tuneward.errors import did_you_mean
from tuneward.home import data_home
from tuneward.rewards.functions.checks import pick_alias, resolve
from tuneward.rewards.functions.configuration import FunctionConfiguration
from tuneward.rewards.functions.log import FunctionLog
from tuneward.rewards.functions.problems import FunctionNotFoundError
from tuneward.rewards.functions.reference import LOCAL_ACCOUNT, FunctionReference, check_name, parse_reference
from tuneward.rewards.functions.store import Alias, Attributes, CodeFolder, FunctionRecord, FunctionStore

FUNCTIONS_VARIABLE, ACCOUNT_VARIABLE = "TUNEWARD_FUNCTIONS", "TUNEWARD_ACCOUNT"
"""Set for the process of a job: the folder and the account of its project's functions."""


def default_root() -> Path:
    """Folder of functions where nobody names one: `TUNEWARD_FUNCTIONS`, else `functions` in `data_home()`."""
    given = os.environ.get(FUNCTIONS_VARIABLE)
    return Path(given) if given else data_home() / "functions"


class FunctionShelf:
    """Functions in a folder, to be looked at; threads and processes may use it at the same time.

    References are names, `NAME:QUALIFIER` or ARNs (`parse_reference`). Methods raise FunctionNotFoundError for what is
    not there, FunctionConflictError and InvalidFunctionError as each says.

    Args:
        root: folder, made when something is first stored; None: `default_root()`.
        region: stands in ARNs; None: `AWS_REGION`, `AWS_DEFAULT_REGION`, or `us-east-1`.
        account: 12 digits, stands in ARNs, and functions of no other account are found; None: `TUNEWARD_ACCOUNT`, or
            LOCAL_ACCOUNT.
    """

    def __init__(self, root: Path | None = None, *, region: str | None = None, account: str | None = None) -> None:
        self.root = root or default_root()
        self._region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        self.account = account or os.environ.get(ACCOUNT_VARIABLE) or LOCAL_ACCOUNT
        self._store = FunctionStore(self.root)

    def get(self, reference: str) -> FunctionConfiguration:
        """The version that a reference names; `$LATEST` without a qualifier."""
        parsed = self.parse(reference)
        return resolve(self._record(parsed.name), parsed.qualifier)

    def names(self) -> list[str]:
        """Of every function, in order."""
        return self._store.names()

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

    def alias(self, name: str, alias: str) -> Alias:
        """One alias."""
        return pick_alias(self._record(name), alias)

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

    def attributes(self, name: str) -> Attributes:
        """Tags, policies and reserved concurrency."""
        return self._record(name).attributes

    def parse(self, reference: str) -> FunctionReference:
        """A reference of this registry's account."""
        parsed = parse_reference(reference)
        if not parsed.is_local:
            raise FunctionNotFoundError(
                f"{reference} is a function of AWS account {parsed.account}, not of this machine."
            )
        if parsed.account not in (None, self.account):
            raise FunctionNotFoundError(f"No function {reference} here: the account is {self.account}.")
        return parsed

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
