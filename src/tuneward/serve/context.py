"""How many tokens a base model can look back on, read without loading or fetching it."""

from __future__ import annotations

import json
from pathlib import Path

from tuneward.home import models_home


def context_length(local: str) -> int | None:
    """The context of a model.

    Args:
        local: as `tuneward.models.resolve` takes it.

    Returns:
        Tokens; None when it does not say, or is not on this machine in a form that can be read at once.
    """
    path = _config_path(local)
    try:
        config = json.loads(path.read_bytes()) if path else {}
    except (OSError, ValueError):
        return None
    inner = config.get("text_config") if isinstance(config, dict) else None
    found = (inner if isinstance(inner, dict) else config).get("max_position_embeddings")
    return found if isinstance(found, int) and found > 1 else None


def _config_path(local: str) -> Path | None:
    for folder in (Path(local).expanduser(), models_home() / local):
        if (folder / "config.json").is_file():
            return folder / "config.json"
    if local.count("/") != 1 or local.startswith((".", "/", "~")):
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = try_to_load_from_cache(local, "config.json")
    except HFValidationError:
        return None
    return Path(cached) if isinstance(cached, str) else None
