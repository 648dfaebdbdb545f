"""What a run was made from: versions, hashes, machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from tuneward.models.gguf import sha256_file

LIBRARIES = ("tuneward", "torch", "transformers", "peft", "tokenizers", "safetensors", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python and the libraries that decide numbers."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, memory, system."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def file_identity(path: Path) -> dict[str, Any]:
    """Path and SHA-256 of an input file."""
    return {"path": str(path), "sha256": sha256_file(path)}


def model_identity(folder: Path) -> dict[str, Any]:
    """Weights of a model folder by hash."""
    return {"path": str(folder), "weights": {p.name: sha256_file(p) for p in sorted(folder.glob("*.safetensors"))}}
