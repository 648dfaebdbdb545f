"""Where Tuneward keeps things: what it could not make again, such as functions, and what it can, such as models."""

from __future__ import annotations

import os
from pathlib import Path


def data_home() -> Path:
    """For what cannot be made again: `TUNEWARD_HOME`, else `~/.tuneward`. The folder need not exist yet."""
    return _configured() or Path("~/.tuneward").expanduser()


def cache_home() -> Path:
    """For what can: `TUNEWARD_HOME`, else `tuneward` in the user's cache folder (XDG). It need not exist yet."""
    return _configured() or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tuneward"


def models_home() -> Path:
    """Folder of converted models, one sub-folder each."""
    return cache_home() / "models"


def _configured() -> Path | None:
    configured = os.environ.get("TUNEWARD_HOME")
    return Path(configured).expanduser() if configured else None
