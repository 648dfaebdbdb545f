"""A model's name → a local folder. Aliases, folders, GGUF files and Hugging Face ids all end here."""

from __future__ import annotations

import json
from pathlib import Path

from tuneward.errors import ModelError, did_you_mean
from tuneward.home import models_home
from tuneward.models.gguf import convert_gguf, sha256_file
from tuneward.models.pull import EMBEDDED, is_pulled, local_folder


def resolve(name: str) -> Path:
    """Find the folder of a model; a GGUF file is converted the first time it is named.

    Args:
        name: embedded alias, folder with `config.json`, `.gguf` file, or Hugging Face id (`owner/name`),
            which is taken from the local Hub cache when it is there and fetched otherwise.

    Raises:
        ModelError: nothing by that name, or it cannot be fetched or read; the text says what to do.
    """
    if name in EMBEDDED:
        if not is_pulled(name):
            raise ModelError(f'Model "{name}" is not on this machine yet. Run: tuneward models pull {name}')
        return local_folder(name)
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        return _from_gguf(path)
    if path.is_dir():
        return _from_folder(path)
    if path.exists():
        raise ModelError(
            f"{name}: not a model; expected a folder with config.json, a .gguf file, an alias or a Hub id."
        )
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        hint = did_you_mean(name, EMBEDDED) or f". Embedded models: {', '.join(EMBEDDED)}."
        raise ModelError(f'No model "{name}" here (neither a folder, a .gguf file nor an alias){hint}')
    return _from_hub(name)


def _from_gguf(path: Path) -> Path:
    if not path.is_file():
        raise ModelError(f"{path}: no such file.")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(f"{path}: not a GGUF file (it does not begin with the GGUF mark).")
    digest = sha256_file(path)
    folder = models_home() / f"gguf-{path.stem}-{digest[:12]}"
    if not (folder / "tuneward.json").exists():
        convert_gguf(path, folder, source=str(path), sha256=digest)
    return folder


def _from_folder(path: Path) -> Path:
    if (path / "adapter_config.json").is_file() and not (path / "config.json").is_file():
        raise ModelError(f"{path}: this is an adapter, not a model; name the run, or set lora.init_from to it.")
    if not (path / "config.json").is_file():
        raise ModelError(f"{path}: no config.json in this folder, so it is no model.")
    try:
        json.loads((path / "config.json").read_text())
    except ValueError:
        raise ModelError(f"{path / 'config.json'}: not valid JSON; copy the model again.") from None
    if not any(path.glob("*.safetensors")) and not any(path.glob("*.bin")):
        raise ModelError(f"{path}: config.json is there but no weights (*.safetensors); copy the model again.")
    return path


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, local_files_only=True))
    except HFValidationError:
        raise ModelError(f'"{name}" is neither a local model nor a valid Hugging Face id.') from None
    except LocalEntryNotFoundError:
        pass
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, etag_timeout=10))
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        raise ModelError(f'Hugging Face has no model "{name}" that you may read (HTTP {status}).') from None
    except Exception as error:  # offline: the client raises whatever its transport raises
        reason = " ".join(str(error).split())[:160]
        raise ModelError(
            f'"{name}" is not on this machine and huggingface.co cannot be reached ({reason}). '
            "Connect once, or copy the model here and give its folder."
        ) from None
