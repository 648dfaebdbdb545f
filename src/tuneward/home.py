"""Where Tuneward keeps what it could not make again: functions and what the service stores."""

from __future__ import annotations

import os
from pathlib import Path


def data_home() -> Path:
    """`TUNEWARD_HOME`, else `~/.tuneward`. The folder need not exist yet; what can be made again lies in the cache."""
    return Path(os.environ.get("TUNEWARD_HOME") or "~/.tuneward").expanduser()
