"""The slots of a machine: what jobs train on, one job each."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess

from tuneward.config import ServerConfig


def machine_slots(config: ServerConfig) -> tuple[str, ...]:
    """`HOST/gpu-N` for every GPU that this process may use; without any, `HOST/cpu-N` as often as configured."""
    host = socket.gethostname()
    gpus = _gpus()
    if gpus:
        return tuple(f"{host}/gpu-{gpu}" for gpu in gpus)
    return tuple(f"{host}/cpu-{number}" for number in range(config.slots))


def slot_environment(slot: str | None) -> dict[str, str]:
    """Variables that keep a process to its slot."""
    _, _, device = (slot or "").rpartition("/gpu-")
    return {"CUDA_VISIBLE_DEVICES": device} if slot and "/gpu-" in slot else {}


def _gpus() -> list[str]:
    """As `CUDA_VISIBLE_DEVICES` names them; asked of the driver's own tool, as workers do not load torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        asked = subprocess.run(
            [tool, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return asked.stdout.split()
