"""GGUF files → fp32 safetensors folders that plain `transformers` loads."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from tuneward.errors import ModelError
from tuneward.models.importing import IMPORTING


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def convert_gguf(gguf: Path, folder: Path, *, source: str, sha256: str) -> None:
    """Dequantise a GGUF file once into `folder` (config, fp32 weights, tokenizer, chat template).

    The folder appears whole or not at all: it is made under a temporary name and renamed, and
    `tuneward.json`, written last, says where it comes from.

    Args:
        gguf: the file.
        folder: target; an existing one is kept if it is whole.
        source: where the file came from, for `tuneward.json`.
        sha256: of the file.

    Raises:
        ModelError: the file is no readable GGUF model, or the disk is full or not writable.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise ModelError(
            f"{folder.parent}: cannot be written ({error.strerror}); set TUNEWARD_HOME elsewhere."
        ) from None
    try:
        _write(gguf, temporary)
        note = {"source": source, "sha256": sha256, "format": "fp32 safetensors"}
        (temporary / "tuneward.json").write_text(json.dumps(note, indent=2) + "\n")
        temporary.chmod(0o755)
        os.replace(temporary, folder)
    except OSError as error:
        if (folder / "tuneward.json").exists():
            return  # another process converted the same file meanwhile
        raise ModelError(
            f"{folder}: the converted model cannot be written ({error.strerror or error}); it needs about four "
            f"times the size of {gguf.name}. Free some space or set TUNEWARD_HOME elsewhere."
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(gguf: Path, folder: Path) -> None:
    import torch

    with IMPORTING:
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    from tuneward.models.quiet import quiet_libraries

    with quiet_libraries():
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
            loaded = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32)
        except Exception as error:  # the readers raise many types for a damaged or foreign file
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{gguf}: cannot be read as a GGUF language model ({reason}).") from None
        config = loaded.config
        for key in ("quantization_config", "_pre_quantization_dtype"):
            if hasattr(config, key):
                delattr(config, key)
        # A model that was loaded from GGUF refuses save_pretrained, so its state moves into a fresh one.
        with torch.device("meta"):
            fresh = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        fresh.load_state_dict(loaded.state_dict(), assign=True)
        fresh.tie_weights()
        fresh.generation_config = GenerationConfig.from_model_config(config)
        fresh.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
