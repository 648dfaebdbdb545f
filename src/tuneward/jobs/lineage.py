"""What a job was made from and came to, read from its run: versions, hashes, machine, plan, result; no paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuneward.errors import RunError
from tuneward.jobs.spec import JobSpec
from tuneward.runs.folder import RunFolder
from tuneward.types import Json

NAMED_ROWS = 20
"""Rows that were left out and are named; of the others there is only the number."""

_RESULT = (
    *("base", "tuned", "comparison", "held_out", "p_value", "verdict", "steps", "best_step", "adapter_step"),
    *("stopped_because", "is_complete", "train_seconds", "total_seconds", "memory"),
)


def read_lineage(spec: JobSpec, run: RunFolder) -> dict[str, Json] | None:
    """What the run was made from; None before training has begun."""
    manifest = _read(run, run.manifest)
    if manifest is None:
        return None
    data = manifest.get("data", {})
    dropped = data.get("dropped", [])
    seed = spec.config.get("run", {}).get("seed", 0)
    return {
        "created": manifest.get("created"),
        "seed": seed,
        "versions": manifest.get("versions", {}),
        "machine": manifest.get("machine", {}),
        "base_model": spec.base_model,
        "weights": manifest.get("model", {}).get("weights", {}),
        "training_rows": data.get("train", {}).get("rows"),
        "training_sha256": data.get("train", {}).get("sha256"),
        "validation_rows": data.get("validation", {}).get("rows"),
        "validation_sha256": data.get("validation", {}).get("sha256"),
        "left_out_rows": len(dropped),
        "left_out": [str(row) for row in dropped[:NAMED_ROWS]],
        "graders": [_plain(manifest[role]) for role in ("grader", "held_out") if role in manifest],
        "conventions": manifest.get("conventions", {}),
        "plan": manifest.get("plan", {}),
    }


def read_result(run: RunFolder) -> dict[str, Json] | None:
    """How the run ended, with the comparison of base and tuned model; None before its end."""
    result = _read(run, run.result)
    return None if result is None else {name: result[name] for name in _RESULT if name in result}


def _plain(grader: Any) -> str:
    """A grader's name and hash; a file is told by its name alone."""
    return str(grader).rpartition("/")[2]


def _read(run: RunFolder, path: Path) -> dict[str, Any] | None:
    try:
        found = run.read_json(path)
    except (RunError, OSError):
        return None
    return found if isinstance(found, dict) else None
