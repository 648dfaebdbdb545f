"""The built-in task: short texts in, one JSON object with name, age and city out, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class DemoPaths:
    """The files of the demo, ready for `DataConfig` and `RewardConfig`."""

    train: Path
    validation: Path
    reward: Path


def demo_paths() -> DemoPaths:
    """Paths of the packaged files."""
    return DemoPaths(FOLDER / "train.jsonl", FOLDER / "validation.jsonl", FOLDER / "reward.py")
