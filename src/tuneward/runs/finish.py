"""What a run leaves behind: the adapter, the comparison with the base model, samples, result and report."""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuneward.config import Config
from tuneward.errors import RunError
from tuneward.evaluation.statistics import Comparison, compare_paired
from tuneward.rl.stopping import Progress
from tuneward.runs import checkpoint as checkpoints
from tuneward.runs.folder import RunFolder, write_atomically, write_json
from tuneward.runs.report import write_report
from tuneward.types import Prompt


@dataclass(frozen=True, slots=True)
class Ending:
    """How a sitting of a run ended."""

    reason: str
    is_complete: bool
    """False when it was interrupted or told to stop at a step, and can be resumed."""
    total_seconds: float
    """Wall-clock seconds from the command's start to here."""
    memory: dict[str, Any]
    """Predicted and measured, see `MemoryCheck.to_json`."""


def finish(run: RunFolder, config: Config, progress: Progress, validation: list[Prompt], ending: Ending) -> None:
    """Write `adapter/`, `samples.jsonl`, `result.json` and `report.html`.

    The adapter is the best checkpoint's; when nothing beat the base model it is the newest one's, and the
    result says so.

    Raises:
        RunError: the disk is full or not writable.
    """
    evaluated = [step for step in _evaluated_steps(run) if 0 < step <= progress.step]
    best = progress.best_step or (evaluated[-1] if evaluated else 0)
    chosen = run.checkpoints / f"step-{best:06d}"
    if not best or not chosen.is_dir():
        newest = checkpoints.newest_whole(run.checkpoints)
        if newest is None:
            raise RunError(f"{run.checkpoints}: no whole checkpoint is left.")
        chosen = newest
    export_adapter(chosen / "adapter", run.adapter)

    base = read_evaluation(run, 0)
    tuned = read_evaluation(run, best) if best in evaluated else None
    comparison = compare_evaluations(base, tuned, config) if tuned else None
    result: dict[str, Any] = {
        "run": run.name,
        "model": config.model,
        "base": _summary(base, config),
        "tuned": _summary(tuned, config) if tuned else None,
        "p_value": comparison.p_value if comparison else None,
        "verdict": comparison.sentence() if comparison else "not compared yet: no evaluation after training began",
        "steps": progress.step,
        "best_step": progress.best_step,
        "adapter_step": checkpoints.step_of(chosen),
        "stopped_because": ending.reason,
        "is_complete": ending.is_complete,
        "train_seconds": round(progress.seconds_trained, 3),
        "total_seconds": round(ending.total_seconds, 3),
        "memory": ending.memory,
        "comparison": comparison.to_json() if comparison else None,
    }
    if config.reward.held_out is not None and tuned:
        result["held_out"] = _held_out_summary(base, tuned, config)
    if tuned:
        _write_samples(run, validation, base, tuned)
    write_json(run.result, result)
    write_report(run.path)


def read_evaluation(run: RunFolder, step: int) -> list[dict[str, Any]]:
    """Row results of an evaluation, in the order of the validation rows. Raises RunError."""
    path = run.evaluation(step)
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}).") from None


def compare_evaluations(base: list[dict[str, Any]], tuned: list[dict[str, Any]], config: Config) -> Comparison:
    """Paired comparison of two evaluations over the same rows, by row id."""
    return _compare(base, tuned, config, "reward")


def _compare(base: list[dict[str, Any]], tuned: list[dict[str, Any]], config: Config, name: str) -> Comparison:
    tuned_by_id = {row["id"]: row for row in tuned}
    pairs = [(row, tuned_by_id[row["id"]]) for row in base if row["id"] in tuned_by_id]
    return compare_paired(
        [_score(row, name) for row, _ in pairs],
        [_score(row, name) for _, row in pairs],
        threshold=config.evaluation.exact_threshold,
        seed=config.run.seed,
    )


def _score(row: dict[str, Any], name: str) -> float:
    return math.nan if row.get(name) is None else float(row[name])


def _summary(rows: list[dict[str, Any]], config: Config) -> dict[str, float | None]:
    rewards = [row["reward"] for row in rows if row["reward"] is not None]
    seconds = [row["held_out"] for row in rows if row.get("held_out") is not None]
    held_out = {"held_out": sum(seconds) / len(seconds)} if seconds else {}
    if not rewards:
        return {"exact": None, "reward": None, **held_out}
    exact = sum(reward >= config.evaluation.exact_threshold for reward in rewards) / len(rewards)
    return {"exact": exact, "reward": sum(rewards) / len(rewards), **held_out}


def _held_out_summary(base: list[dict[str, Any]], tuned: list[dict[str, Any]], config: Config) -> dict[str, Any]:
    """Paired comparison of held-out scores; exact success is left out, as its threshold is the reward's."""
    found = _compare(base, tuned, config, "held_out").to_json()
    names = ("n", "excluded", "base_reward", "tuned_reward", "difference", "interval_low", "interval_high")
    return {name: found[name] for name in (*names, "reward_p_value")}


def _evaluated_steps(run: RunFolder) -> list[int]:
    return sorted(int(path.stem.removeprefix("step-")) for path in (run.path / "evaluations").glob("step-*.jsonl"))


def export_adapter(source: Path, target: Path) -> None:
    """Copy a checkpoint's adapter, replacing the target as a whole. Raises RunError when the disk is full."""
    temporary = target.with_name(".adapter-new")
    old = target.with_name(".adapter-old")
    try:
        for leftover in (temporary, old):
            shutil.rmtree(leftover, ignore_errors=True)
        shutil.copytree(source, temporary)
        checkpoints.seal(temporary)
        if target.exists():
            os.replace(target, old)
        os.replace(temporary, target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or (error.args[0][0][2] if isinstance(error, shutil.Error) else error)
        raise RunError(f"{target}: the adapter cannot be written ({reason}); free some space.") from None


def _write_samples(
    run: RunFolder, validation: list[Prompt], base: list[dict[str, Any]], tuned: list[dict[str, Any]]
) -> None:
    prompts = {prompt.id: prompt.row for prompt in validation}
    tuned_by_id = {row["id"]: row for row in tuned}
    lines = []
    for before in base:
        row, after = prompts.get(before["id"]), tuned_by_id.get(before["id"])
        if row is None or after is None:
            continue
        sample = {
            "id": row.id,
            "prompt": [dict(message) for message in row.messages],
            "reference_answer": row.reference_answer,
            "base": {"text": before["text"], "reward": before["reward"]},
            "tuned": {"text": after["text"], "reward": after["reward"]},
        }
        lines.append(json.dumps(sample, ensure_ascii=False) + "\n")
    write_atomically(run.path / "samples.jsonl", "".join(lines))
