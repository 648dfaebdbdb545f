"""Code that answers events: what it is, and its limits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

IMPORT_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Program:
    """A Python file with a handler, the bytes of it that count, and the limits of one call."""

    path: Path
    """Where the file is. A `process` can import its siblings; in a `sandbox` it is alone unless `folder` is given."""
    source: bytes
    """What is run, whatever happens to the file later."""
    handler: str
    """Name of the function in the file."""
    timeout_s: float = 30.0
    """Wall-clock limit of one call, counted from when a worker starts on it."""
    memory_mb: int = 512
    """MiB that calls may add to what loading the file took."""
    disk_mb: int = 1024
    """MiB of all files a sandboxed program may keep; they are held in memory. Source: OpenAI grader contract, 5.7."""
    import_timeout_s: float = IMPORT_TIMEOUT_S
    """Wall-clock limit for loading the file."""
    isolation: Literal["process", "sandbox"] = "process"
    folder: Path | None = None
    """Root of a program of several files, which holds `path`; imports and relative paths start here. None: the
    folder of `path`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the program's own, besides the few that every reward process gets."""
    context: Mapping[str, str] = field(default_factory=dict)
    """Attributes of the Lambda context that differ from the defaults: `function_name`, `function_version`,
    `invoked_function_arn`, `memory_limit_in_mb`, `log_group_name`, `log_stream_name`."""
    timeout_setting: str = "reward.timeout_s"
    """What a user changes to allow more time, in messages."""
    memory_setting: str = "reward.memory_mb"

    @property
    def name(self) -> str:
        """File name and the first 8 hexadecimal digits of its SHA-256, e.g. `reward.py@3f2a9c1b`."""
        return f"{self.path.name}@{hashlib.sha256(self.source).hexdigest()[:8]}"

    @property
    def limits(self) -> dict[str, float]:
        """The limits, for receipts."""
        return {"timeout_s": self.timeout_s, "memory_mb": self.memory_mb}

    def setup(self) -> dict[str, Any]:
        """What the reward process gets; see `keeper.worker.Setup`."""
        folder = str((self.folder or self.path.parent).absolute())
        return {
            "path": str(self.path.absolute()),
            "folder": folder,
            "work": folder,
            "source": self.source.decode("latin-1"),  # JSON holds text; the reward process turns it back.
            "handler": self.handler,
            "memory_bytes": self.memory_mb << 20,
            "timeout_s": self.timeout_s,
            "import_timeout_s": self.import_timeout_s,
            "environment": dict(self.environment),
            "context": dict(self.context),
        }
