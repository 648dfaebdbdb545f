"""Where Tuneward keeps what it may make again: converted models."""

from __future__ import annotations

import os
from pathlib import Path


def tuneward_home() -> Path:
    """`TUNEWARD_HOME`, else `tuneward` in the user's cache folder (XDG). The folder need not exist yet."""
    configured = os.environ.get("TUNEWARD_HOME")
    if configured:
        return Path(configured).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tuneward"


def models_home() -> Path:
    """Folder of converted models, one sub-folder each."""
    return tuneward_home() / "models"
