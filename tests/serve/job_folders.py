"""What a job's process leaves in the job's folder, written by a test: adapters, the data report, the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

from tuneward.data.checks import validate
from tuneward.jobs.inputs import Inputs
from tuneward.jobs.places import job_home
from tuneward.jobs.row_report import save_row_report
from tuneward.runs.checkpoint import seal
from tuneward.store.tables import Checkpoint, Job

GOOD = '{"messages": [{"role": "user", "content": "%s?"}], "reference_answer": "%s"}\n'


def keep_job_folder(home: Path, job: Job, *checkpoints: Checkpoint, bad_lines: int = 0) -> Path:
    """Adapters of checkpoints, and the report of rows of which some are bad; returns the job's folder."""
    for checkpoint in checkpoints:
        keep_adapter(home / checkpoint.adapter)
    folder = job_home(home, job.project_id, job.id)
    rows = folder / "inputs" / "train.jsonl"
    rows.parent.mkdir(parents=True, exist_ok=True)
    lines = [GOOD % (number, number) for number in range(3)] + ['{"messages": []}\n'] * bad_lines
    rows.write_text("".join(lines))
    report = validate(rows, count_tokens=lambda row: len(row.messages[0]["content"]), max_prompt_length=10)
    save_row_report(folder, report, Inputs(rows, None))
    return folder


def keep_adapter(folder: Path) -> None:
    """A tiny adapter in peft's format, sealed as one that a job has published."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"r": 4, "lora_alpha": 8, "peft_type": "LORA", "base_model_name_or_path": "/srv/models/tiny"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    save_file({name: torch.arange(32.0).reshape(4, 8)}, folder / "adapter_model.safetensors")
    seal(folder)


def keep_run(folder: Path, *, config: dict[str, Any], result: dict[str, Any] | None = None) -> None:
    """A run as training leaves it in a job's folder."""
    run = folder / "run"
    run.mkdir(parents=True, exist_ok=True)
    paths = {"model": "/srv/models/tiny", "data": {"train": str(folder / "inputs" / "train.jsonl")}}
    whole = {**config, **paths, "data": {**config.get("data", {}), **paths["data"]}}
    whole["run"] = {**config.get("run", {}), "root": str(folder), "name": "run"}
    (run / "config.yaml").write_text(yaml.safe_dump(whole))
    manifest = {
        "run": "run",
        "created": "2026-01-02T03:04:05Z",
        "versions": {"python": "3.11.2", "tuneward": "0.1", "torch": "2.9.0"},
        "machine": {"processor": "a processor", "cores": 2, "memory_bytes": 2**33, "system": "Linux"},
        "model": {"name": "/srv/models/tiny", "path": "/srv/models/tiny", "weights": {"model.safetensors": "ab" * 32}},
        "data": {
            "train": {"path": str(folder / "inputs" / "train.jsonl"), "sha256": "cd" * 32, "rows": 36},
            "validation": {"path": f"held out from {folder}", "rows": 4},
            "dropped": [f"row-{number}" for number in range(30)],
        },
        "grader": "math_answer@12345678",
        "plan": {"total_steps": 20, "evaluate_every": 5, "peak_memory_bytes": 2**30},
        "conventions": {"advantage_std_ddof": 1},
    }
    (run / "manifest.json").write_text(json.dumps(manifest))
    if result is not None:
        (run / "result.json").write_text(json.dumps(result))
