"""What a model is, told without loading or fetching it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tuneward.errors import ModelError
from tuneward.home import models_home
from tuneward.models.memory import weights_bytes
from tuneward.models.pull import EMBEDDED, is_pulled, local_folder
from tuneward.models.resolve import resolve


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Sizes of a model in a folder; None where its configuration does not say."""

    architecture: str | None
    parameters: int
    layers: int | None
    hidden: int | None
    vocabulary: int | None
    context_tokens: int | None
    disk_bytes: int
    """Of the whole folder."""


def find_here(name: str) -> Path | None:
    """As `tuneward.models.resolve`, without fetching or converting: None where that would be needed.

    Raises:
        ModelError: it is here, but damaged, or there is nothing of this name to fetch.
    """
    if name in EMBEDDED:
        return local_folder(name) if is_pulled(name) else None
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        return _converted(path)
    if path.exists() or name.startswith((".", "/", "~")) or name.count("/") != 1:
        return resolve(name)
    return _cached(name)


@lru_cache(64)
def _read(folder: Path, _changed_ns: int) -> ModelFacts:
    try:
        tree = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config: dict[str, Any] = tree.get("text_config") or tree
        named = config.get("architectures") or tree.get("architectures") or [None]
    except (OSError, ValueError, AttributeError):
        raise ModelError(f"{folder / 'config.json'}: cannot be read; copy the model again.") from None
    return ModelFacts(
        architecture=str(named[0]) if named[0] else config.get("model_type"),
        parameters=weights_bytes(folder, 1),
        layers=_count(config, "num_hidden_layers", "n_layer"),
        hidden=_count(config, "hidden_size", "n_embd"),
        vocabulary=_count(config, "vocab_size"),
        context_tokens=_count(config, "max_position_embeddings", "n_positions"),
        disk_bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
    )


def read_facts(folder: Path) -> ModelFacts:
    """Facts of a model folder, read anew when its configuration changed. Raises ModelError when it is damaged."""
    try:
        changed_ns = (folder / "config.json").stat().st_mtime_ns
    except OSError as error:
        raise ModelError(f"{folder / 'config.json'}: cannot be read ({error.strerror}).") from None
    return _read(folder, changed_ns)


def _count(config: dict[str, Any], *names: str) -> int | None:
    return next((config[name] for name in names if type(config.get(name)) is int), None)


def _converted(gguf: Path) -> Path | None:
    """The folder that a GGUF file was converted to before, if it was."""
    if not gguf.is_file():
        raise ModelError(f"{gguf}: no such file.")
    for note in models_home().glob("gguf-*/tuneward.json"):
        if json.loads(note.read_text(encoding="utf-8")).get("source") == str(gguf):
            return note.parent
    return None


def _cached(name: str) -> Path | None:
    """The snapshot of a Hugging Face id in the local cache, if it is whole."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError:
        raise ModelError(f'"{name}" is neither a local model nor a valid Hugging Face id.') from None
    return folder if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")) else None
