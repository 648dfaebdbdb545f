"""Whether an adapter's folder is whole, checked without loading it and without torch."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open


def adapter_fault(folder: Path) -> str | None:
    """What is wrong with an adapter in peft's format; None when it can be served."""
    weights = folder / "adapter_model.safetensors"
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        with safe_open(weights, framework="numpy") as file:
            names = list(file.keys())
    except (OSError, ValueError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:160]
        return f"The adapter of this model cannot be read ({reason})."
    if not isinstance(config, dict) or not isinstance(config.get("r"), int):
        return "adapter_config.json of this model is damaged: it names no rank."
    if not any(".lora_A." in name for name in names):
        return "The adapter file of this model holds no LoRA weights."
    return None
