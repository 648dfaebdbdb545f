"""What a machine offers to jobs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tuneward.config import ServerConfig
from tuneward.jobs.slots import machine_slots, slot_environment


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is the whole search path of programs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def tool(folder: Path, script: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_processor_has_as_many_slots_as_configured() -> None:
    host = socket.gethostname()
    assert machine_slots(ServerConfig()) == (f"{host}/cpu-0",)
    assert machine_slots(ServerConfig(slots=2)) == (f"{host}/cpu-0", f"{host}/cpu-1")
    assert slot_environment(f"{host}/cpu-0") == {}
    assert slot_environment(None) == {}


def test_every_gpu_is_a_slot(no_gpu: Path) -> None:
    tool(no_gpu, "printf '0\\n1\\n'")
    slots = machine_slots(ServerConfig(slots=5))
    assert [slot.rpartition("/")[2] for slot in slots] == ["gpu-0", "gpu-1"]
    assert slot_environment(slots[1]) == {"CUDA_VISIBLE_DEVICES": "1"}


def test_only_visible_gpus_count(no_gpu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(no_gpu, "printf '0\\n1\\n2\\n'")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-12ab, 2")
    assert [slot.rpartition("/")[2] for slot in machine_slots(ServerConfig())] == ["gpu-GPU-12ab", "gpu-2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine_slots(ServerConfig())[0].endswith("/cpu-0")


def test_driver_that_fails_means_no_gpu(no_gpu: Path) -> None:
    tool(no_gpu, "exit 9")
    assert machine_slots(ServerConfig())[0].endswith("/cpu-0")
