"""What one version of a function is: its code's hash, how it is started, and its limits."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tuneward.rewards.functions.problems import InvalidFunctionError
from tuneward.rewards.functions.reference import LATEST, LOCAL_ACCOUNT, check_name, function_arn

RUNTIMES = tuple(f"python3.{minor}" for minor in range(9, 15))
"""Each of them runs on the interpreter that runs Tuneward."""

MAX_TIMEOUT_S = 900
MIN_MEMORY_MB, MAX_MEMORY_MB = 128, 10_240
MAX_DESCRIPTION = 256
MAX_ROLE = 2048
MAX_ENVIRONMENT_BYTES = 4096

RESERVED_VARIABLES = frozenset({
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
})  # fmt: skip
"""Variables that AWS Lambda sets itself."""


@dataclass(frozen=True, slots=True)
class FunctionConfiguration:
    """One version of a function; the defaults are those recommended for reward functions.

    Source: Bedrock RFT contract, 4.3.
    """

    name: str
    handler: str
    """`MODULE.FUNCTION`, the module as a path within the archive: `reward.lambda_handler`, `graders/maths.handler`."""
    code_sha256: str
    """SHA-256 of the archive in base64, as AWS gives it."""
    code_bytes: int
    """Size of the archive."""
    last_modified: str
    """ISO 8601 with milliseconds, UTC."""
    version: str = LATEST
    """`$LATEST`, or a number for a published version, which never changes."""
    runtime: str = "python3.12"
    timeout_s: int = 60
    """Wall-clock limit of one call, 1 to 900 s."""
    memory_mb: int = 512
    """Memory limit of one process, MiB."""
    environment: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    region: str = "us-east-1"
    """Stands in the ARN; nothing else depends on it."""
    account: str = LOCAL_ACCOUNT
    """12 digits of the project; stands in the ARN."""
    role: str = ""
    """Role that AWS would run it as; kept to be read back."""

    @property
    def arn(self) -> str:
        """Without the version."""
        return function_arn(self.name, self.region, self.account)

    @property
    def qualified_arn(self) -> str:
        return function_arn(self.name, self.region, self.account, self.version)

    @property
    def revision_id(self) -> str:
        """A UUID that changes with every change."""
        digest = hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).digest()
        return str(uuid.UUID(bytes=digest[:16], version=4))

    @property
    def module_path(self) -> str:
        """Main file within the archive, e.g. `graders/maths.py`."""
        return f"{self.handler.rpartition('.')[0].replace('.', '/')}.py"

    @property
    def function(self) -> str:
        """Name of the function in the main file."""
        return self.handler.rpartition(".")[2]

    def as_json(self) -> dict[str, Any]:
        """Every field as a JSON value, for the registry's file and for reports."""
        return asdict(self)

    def check(self) -> None:
        """Raises InvalidFunctionError when a setting breaks the rules; they are those of AWS Lambda."""
        check_name(self.name)
        where = f"function {self.name}"
        if self.runtime not in RUNTIMES:
            raise InvalidFunctionError(
                f'{where}: unknown runtime "{self.runtime}"; expected {RUNTIMES[0]} to {RUNTIMES[-1]}.'
            )
        if not re.fullmatch(r"(?:[A-Za-z_]\w*[./])+[A-Za-z_]\w*", self.handler) or "/" in self.function:
            raise InvalidFunctionError(f'{where}: handler "{self.handler}"; expected MODULE.FUNCTION.')
        if not 1 <= self.timeout_s <= MAX_TIMEOUT_S:
            raise InvalidFunctionError(f"{where}: timeout of {self.timeout_s} s; expected 1 to {MAX_TIMEOUT_S} s.")
        if not MIN_MEMORY_MB <= self.memory_mb <= MAX_MEMORY_MB:
            raise InvalidFunctionError(
                f"{where}: memory of {self.memory_mb} MB; expected {MIN_MEMORY_MB} to {MAX_MEMORY_MB} MB."
            )
        if len(self.role) > MAX_ROLE:
            raise InvalidFunctionError(f"{where}: the role has more than {MAX_ROLE} characters.")
        if len(self.description) > MAX_DESCRIPTION:
            raise InvalidFunctionError(f"{where}: the description has more than {MAX_DESCRIPTION} characters.")
        _check_environment(self.environment, where)


def _check_environment(environment: Mapping[str, str], where: str) -> None:
    for name, value in environment.items():
        if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]+", name) or "\0" in value:
            raise InvalidFunctionError(
                f'{where}: environment variable "{name}"; a name starts with a letter and has at least two letters, '
                "digits or _, and a value has no null byte."
            )
        if name in RESERVED_VARIABLES:
            raise InvalidFunctionError(f"{where}: environment variable {name} is set by the runtime. Choose another.")
    if sum(len(name.encode()) + len(value.encode()) for name, value in environment.items()) > MAX_ENVIRONMENT_BYTES:
        raise InvalidFunctionError(f"{where}: the environment variables take more than {MAX_ENVIRONMENT_BYTES} bytes.")
