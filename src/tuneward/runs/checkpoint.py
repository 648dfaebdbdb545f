"""Checkpoints that are whole or absent: written aside, synced, hashed, renamed; read only when the hashes hold.

checkpoints/step-000010/
    adapter/               a PEFT adapter that plain transformers + peft load
    optimizer.safetensors  AdamW moments and step counts, by parameter name
    state.json             progress, failure counts, advisor memory
    MANIFEST.json          SHA-256 of every other file; written last
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tuneward.errors import RunError
from tuneward.models.gguf import sha256_file
from tuneward.points import reached
from tuneward.rl.policy import Policy

MANIFEST = "MANIFEST.json"


def save_checkpoint(folder: Path, step: int, policy: Policy, state: dict[str, Any]) -> Path:
    """Write the state after `step` to `folder/step-NNNNNN`, atomically.

    Raises:
        RunError: the disk is full or not writable; earlier checkpoints are untouched.
    """
    target = folder / f"step-{step:06d}"
    temporary = folder / f".writing-{step:06d}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_adapter(policy, temporary / "adapter")
        save_file(_optimizer_tensors(policy), temporary / "optimizer.safetensors")
        (temporary / "state.json").write_text(json.dumps(state, indent=1, sort_keys=True))
        reached("save.written")
        seal(temporary)
        reached("save.manifest")
        if target.exists():  # a torn or replayed one of the same step
            shutil.rmtree(target)
        os.replace(temporary, target)
        sync(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        reason = getattr(error, "strerror", None) or error
        raise RunError(
            f"{target}: the checkpoint cannot be written ({reason}). Free some space; the checkpoints before it are "
            "whole, and a run that is resumed goes on from the newest of them."
        ) from None
    reached("save.renamed")
    return target


def save_adapter(policy: Policy, folder: Path) -> None:
    """Write the adapter in PEFT's format."""
    policy.model.save_pretrained(str(folder), selected_adapters=["default"])
    (folder / "README.md").unlink(missing_ok=True)  # an empty model card that peft adds


def seal(folder: Path) -> None:
    """Sync every file of a folder and write its manifest of hashes last."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        sync(path)
    hashes = {str(path.relative_to(folder)): sha256_file(path) for path in files}
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps(hashes, indent=1, sort_keys=True))
    sync(manifest)
    for directory in {path.parent for path in files} | {folder}:
        sync(directory)


def sync(path: Path) -> None:
    """Force a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_whole(checkpoint: Path) -> bool:
    """The manifest is there and every file has the hash it states."""
    try:
        hashes = json.loads((checkpoint / MANIFEST).read_text())
        return all(sha256_file(checkpoint / name) == digest for name, digest in hashes.items())
    except (OSError, ValueError):
        return False


def list_checkpoints(folder: Path) -> list[Path]:
    """Checkpoint folders, oldest first, whole or not."""
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def newest_whole(folder: Path) -> Path | None:
    """The newest checkpoint that verifies; torn ones are passed over."""
    return next((path for path in reversed(list_checkpoints(folder)) if is_whole(path)), None)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))


def load_checkpoint(checkpoint: Path, policy: Policy) -> dict[str, Any]:
    """Put a checkpoint's adapter and optimizer into a policy; returns its state.

    Raises:
        RunError: it does not fit this model.
    """
    from peft import set_peft_model_state_dict

    try:
        adapter = load_file(checkpoint / "adapter" / "adapter_model.safetensors")
        set_peft_model_state_dict(policy.model, adapter, adapter_name="default")
        _restore_optimizer(policy, load_file(checkpoint / "optimizer.safetensors"))
        state: dict[str, Any] = json.loads((checkpoint / "state.json").read_text())
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise RunError(f"{checkpoint}: cannot be resumed from ({error}).") from None
    return state


def prune(folder: Path, *, keep: int, best_step: int) -> None:
    """Delete all but the newest `keep` checkpoints and the best one, and leftovers of unfinished writes."""
    checkpoints = list_checkpoints(folder)
    for checkpoint in checkpoints[:-keep]:
        if step_of(checkpoint) != best_step:
            # Renamed first: a deletion cut short must not leave a folder that looks like a checkpoint.
            doomed = folder / f".deleting-{checkpoint.name}"
            os.replace(checkpoint, doomed)
            shutil.rmtree(doomed, ignore_errors=True)
    for leftover in (*folder.glob(".writing-*"), *folder.glob(".deleting-*")):
        shutil.rmtree(leftover, ignore_errors=True)
    reached("save.pruned")


def point_to_best(folder: Path, step: int) -> None:
    """Make `best` a link to the checkpoint of `step`, replacing the old link atomically."""
    link = folder / ".best-new"
    link.unlink(missing_ok=True)
    link.symlink_to(f"step-{step:06d}", target_is_directory=True)
    os.replace(link, folder / "best")


def _parameter_names(policy: Policy) -> list[str]:
    return [name for name, parameter in policy.model.named_parameters() if parameter.requires_grad]


def _optimizer_tensors(policy: Policy) -> dict[str, torch.Tensor]:
    state = policy.optimizer.state_dict()["state"]
    return {
        f"{name}/{key}": value.contiguous()
        for number, name in enumerate(_parameter_names(policy))
        for key, value in state.get(number, {}).items()
    } | {"torch_rng": torch.get_rng_state()}


def _restore_optimizer(policy: Policy, tensors: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(tensors.pop("torch_rng"))
    whole = policy.optimizer.state_dict()
    numbers = {name: number for number, name in enumerate(_parameter_names(policy))}
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        parameter, _, key = name.rpartition("/")
        state.setdefault(numbers[parameter], {})[key] = tensor
    whole["state"] = state
    policy.optimizer.load_state_dict(whole)
