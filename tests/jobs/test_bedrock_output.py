"""Files at a job's output location. The tables are written out by hand from the records beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tuneward.jobs.bedrock_output import output_files
from tuneward.store.tables import Job

ROOT = "model-customization-job-abcdefghijkl"

REINFORCEMENT = [
    {"kind": "evaluation", "step": 0, "reward_mean": 0.1, "completion_length_mean": 9.0},
    {"kind": "step", "step": 1, "epoch": 0.5, "loss": 0.01, "reward_mean": 0.2, "reward_min": 0.0, "reward_max": 1.0,
     "entropy": 1.5, "grad_norm": 0.3, "clip_share": 0.02, "completion_length_mean": 8.0},
    {"kind": "warning", "step": 1, "code": "c", "severity": "info", "message": "m"},
    {"kind": "step", "step": 2, "epoch": 1.0, "loss": 0.5, "reward_mean": 9.0},
    {"kind": "step", "step": 2, "epoch": 1.0, "loss": -0.02, "reward_mean": 0.4, "entropy": 1.25},
    {"kind": "evaluation", "step": 2, "reward_mean": 0.5, "exact": 0.25, "completion_length_mean": 7.5},
    {"kind": "step", "step": 3, "epoch": 1.5, "reward_mean": 0.6},
]  # fmt: skip
TRAINING = """\
step_number,epoch_number,training_loss,train_reward_mean,train_reward_min,train_reward_max,policy_entropy,grad_norm,\
clip_fraction,response_length_mean,val_reward_mean,val_response_length_mean
0,0,0.01,0.2,0.0,1.0,1.5,0.3,0.02,8.0,,
1,0,-0.02,0.4,,,1.25,,,,0.5,7.5
2,1,,0.6,,,,,,,,
"""
VALIDATION = """\
step_number,epoch_number,val_reward_mean,val_exact_share,val_response_length_mean
1,0,0.5,0.25,7.5
"""


def files(folder: Path, method: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return dict(output_files(Job(id="abcdefghijkl", spec={"method": method}), folder))


def test_tables_of_a_reinforcement_job(tmp_path: Path) -> None:
    found = files(tmp_path, "reinforcement", REINFORCEMENT)
    assert found == {
        f"{ROOT}/training_artifacts/step_wise_training_metrics.csv": TRAINING.encode(),
        f"{ROOT}/validation_artifacts/post_fine_tuning_validation/validation_metrics.csv": VALIDATION.encode(),
    }


def test_tables_of_a_supervised_job(tmp_path: Path) -> None:
    records = [
        {"kind": "step", "step": 1, "epoch": 1.0, "loss": 0.0},
        {"kind": "evaluation", "step": 1, "loss": 1000.0},
    ]
    training, validation = files(tmp_path, "supervised", records).values()
    assert training == b"step_number,epoch_number,training_loss,perplexity\n0,0,0.0,1.0\n"
    header, row = validation.decode().splitlines()
    assert header == "step_number,epoch_number,validation_loss,perplexity"
    assert row.startswith("0,0,1000.0,1.01423205473500")


def test_reports_of_the_data_and_of_failed_calls_of_the_reward(tmp_path: Path) -> None:
    (tmp_path / "data_report.json").write_text('{"ok": true}')
    good, bad = (json.dumps({"samples": ["s"], "verdict": verdict}) + "\n" for verdict in ("ok", "timeout"))
    (tmp_path / "receipts.jsonl").write_text(good + bad + good + bad[:-5])
    found = files(tmp_path, "reinforcement", [])
    assert found == {
        f"{ROOT}/input_data_report.json": tmp_path / "data_report.json",
        f"{ROOT}/error_reports/reward_errors.jsonl": bad.encode(),
    }


def test_a_job_that_never_ran_leaves_nothing(tmp_path: Path) -> None:
    assert output_files(Job(id="abcdefghijkl", spec={"method": "reinforcement"}), tmp_path / "none") == {}
