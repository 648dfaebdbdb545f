"""The two sides of a comparison, `tuneward train` and `trl_side.py`: programs of their own, and how they are read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tasks import ROOT, Task

from tuneward.models.memory import peak_resident_bytes

TRL_PYTHON = ROOT / ".venv-trl" / "bin" / "python"
TRL_SIDE = ROOT / "benchmarks" / "trl_side.py"

EVALUATE_EVERY = 2
"""Steps between evaluations, on both sides: a coarser grid on one side would lengthen its time to 90 %."""
QUICK_EVALUATION_ROWS = 8
"""`tuneward train` always evaluates at its start and end; without a time to measure, a few rows do."""
POLL_S = 0.25
STARTUP_S = 60.0
"""More than TRL's side takes until its first step begins."""


class BenchError(Exception):
    """The benchmark cannot go on; one sentence says why."""


@dataclass(frozen=True)
class Extent:
    """How far each side trains."""

    our_steps: int
    trl_steps: int
    has_goal: bool
    """Whether to evaluate on the way."""
    patience: float | None = None
    """TRL is stopped when its steps take so many times as long as ours did; None waits for it."""


@dataclass(frozen=True)
class Evaluated:
    """One evaluation on the validation rows."""

    step: int
    exact: float
    training_seconds: float
    """Seconds of all steps before it, evaluations apart."""


@dataclass
class Training:
    """One training, of either side, as it was measured."""

    seconds: list[float] = field(default_factory=list)
    """Of each step: sampling, reward and update."""
    rewards: list[float] = field(default_factory=list)
    """Mean training reward of each step."""
    lengths: list[float] = field(default_factory=list)
    """Mean completion length of each step, tokens."""
    evaluations: list[Evaluated] = field(default_factory=list)
    peak_memory_bytes: int | None = None
    bound_fractions: list[float] = field(default_factory=list)
    """Of each step: the machine's least time for it over the time it took. Ours alone."""
    stopped_after_s: float | None = None
    """Stopped before its steps were made; they would have taken more than this."""

    def seconds_to(self, goal: float) -> float | None:
        """Training seconds before the first evaluation at or above `goal`; None when there was none."""
        return next((e.training_seconds for e in self.evaluations if e.exact >= goal), None)

    def exact_at(self, step: int) -> float | None:
        return next((e.exact for e in self.evaluations if e.step == step), None)


@dataclass(frozen=True)
class Round:
    """One training of each side, run one after the other with one seed."""

    ours: Training
    peer: Training


def train_ours(task: Task, extent: Extent, folder: Path, *, seed: int) -> Training:
    """One `tuneward train`, from start to the end of its run."""
    config, run = folder / "tuneward.yaml", folder / "runs" / "ours"
    config.write_text(yaml.safe_dump(our_config(task, extent, run, seed)))
    command = [sys.executable, "-m", "tuneward", "train", str(config)]
    peak = run_program("Tuneward", command, folder / "tuneward.log", run / "metrics.jsonl", _line_of_record)
    training = read_metrics(run / "metrics.jsonl")
    training.peak_memory_bytes = peak
    return training


def our_config(task: Task, extent: Extent, run: Path, seed: int) -> dict[str, Any]:
    """The task as a configuration of `tuneward train`; what is not named here stays at its default."""
    evaluation: dict[str, Any] = {
        "every_steps": EVALUATE_EVERY if extent.has_goal else extent.our_steps,
        "max_rows": task.eval_rows if extent.has_goal else min(task.eval_rows, QUICK_EVALUATION_ROWS),
        "early_stopping": False,  # both sides make all their steps, so that speeds compare like with like
        # One step's worth: step 1 then takes over what the check sampled, and the check costs nothing.
        "preflight_prompts": task.prompts_per_step,
    }
    return {
        "model": task.model,
        "threads": task.threads,
        "data": {
            "train": task.train,
            "validation": task.validation,
            "max_prompt_length": task.max_prompt_tokens,
        },
        "reward": {"file": task.reward},
        "lora": {"r": task.lora_r, "alpha": task.lora_alpha},
        "training": {
            "loss": "dapo",
            "advantage": "group",
            "beta": 0.0,
            "learning_rate": task.learning_rate,
            "epochs": 50,
            "max_steps": extent.our_steps,
            "prompts_per_step": task.prompts_per_step,
            "samples_per_prompt": task.samples_per_prompt,
            "max_completion_tokens": task.max_completion_tokens,
        },
        "evaluation": evaluation,
        "run": {"root": str(run.parent), "name": run.name, "seed": seed},
    }


def train_trl(
    task: Task, extent: Extent, folder: Path, *, seed: int, limit_s: float | None = None
) -> tuple[Training, dict[str, str]]:
    """One training by `trl_side.py`; the versions of its environment come with it.

    Args:
        limit_s: it is stopped when its steps take longer; versions are then not known.
    """
    specification, result = folder / "trl.json", folder / "trl-result.json"
    specification.write_text(json.dumps(trl_spec(task, extent, seed), indent=2))
    command = [str(TRL_PYTHON), str(TRL_SIDE), str(specification), str(result)]
    log = folder / "trl.log"
    try:
        peak = run_program("TRL", command, log, log, _line_of_trl, limit_s=limit_s and limit_s + STARTUP_S)
    except TookTooLongError as stop:
        print(f"  stopped: more than {limit_s:.0f} s for {extent.trl_steps} steps", flush=True)
        return Training(peak_memory_bytes=stop.peak_memory_bytes, stopped_after_s=limit_s), {}
    content = json.loads(result.read_text())
    training = read_trl(content)
    training.peak_memory_bytes = peak
    return training, content["versions"]


def trl_spec(task: Task, extent: Extent, seed: int) -> dict[str, Any]:
    """The task as a specification of `trl_side.py`."""
    return {
        "model": task.model,
        "train": task.train,
        "validation": task.validation,
        "reward_file": task.reward,
        "steps": extent.trl_steps,
        "prompts_per_step": task.prompts_per_step,
        "samples_per_prompt": task.samples_per_prompt,
        "micro_batch": task.trl_micro_batch,
        "max_completion_tokens": task.max_completion_tokens,
        "learning_rate": task.learning_rate,
        "lora_r": task.lora_r,
        "lora_alpha": task.lora_alpha,
        "seed": seed,
        "evaluate_every": EVALUATE_EVERY if extent.has_goal else None,
        "eval_max_rows": task.eval_rows,
        "threads": task.threads,
    }


class TookTooLongError(Exception):
    """A program was stopped at its limit."""

    def __init__(self, peak_memory_bytes: int | None):
        super().__init__("stopped at its limit")
        self.peak_memory_bytes = peak_memory_bytes


def run_program(
    name: str,
    command: list[str],
    log: Path,
    watched: Path,
    line_of: Callable[[str], str | None],
    *,
    limit_s: float | None = None,
) -> int | None:
    """Run one side to its end, on the CPU, and tell how it goes.

    Args:
        name: of the side, for messages.
        command: program and arguments.
        log: receives what it prints.
        watched: file that grows by a line at each step.
        line_of: a line of that file → what to print, or None.
        limit_s: wall-clock limit; None waits.

    Returns:
        Highest resident memory of the process, bytes; None where the system does not tell.

    Raises:
        BenchError: it failed.
        TookTooLongError: it was stopped at the limit.
    """
    # TRL's side is set to the CPU; ours takes a GPU where it sees one.
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)
    peak, shown, started = None, 0, time.monotonic()
    try:
        while process.poll() is None:
            # The system keeps the peak itself, so the last look is the one that counts.
            peak = peak_resident_bytes(process.pid) or peak
            shown = _tell_news(watched, shown, line_of)
            if limit_s is not None and time.monotonic() - started > limit_s:
                raise TookTooLongError(peak)
            time.sleep(POLL_S)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    _tell_news(watched, shown, line_of)
    if process.returncode != 0:
        printed = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        reason = printed[-1] if printed else "it printed nothing"
        raise BenchError(f"{name} ended with exit status {process.returncode}: {reason} (--work FOLDER keeps its log)")
    return peak


def _tell_news(file: Path, shown: int, line_of: Callable[[str], str | None]) -> int:
    """Print what is new among the whole lines of a file; returns how many lines are shown now."""
    if not file.is_file():
        return shown
    *lines, _unfinished = file.read_text(errors="replace").split("\n")
    for line in lines[shown:]:
        told = line_of(line)
        if told is not None:
            print(f"  {told}", flush=True)
    return len(lines)


def _line_of_record(line: str) -> str | None:
    record = json.loads(line)
    if record["kind"] == "step":
        return f"step {record['step']}: {step_seconds(record['timing']):.1f} s, reward {record['reward_mean']:.3f}"
    if record["kind"] == "evaluation":
        return f"evaluation after step {record['step']}: exact {record['exact']:.3f}"
    return None


def _line_of_trl(line: str) -> str | None:
    return line if line.startswith(("step ", "evaluation ")) else None


def read_metrics(path: Path) -> Training:
    """Read the `metrics.jsonl` of one of our runs."""
    training = Training()
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["kind"] == "step":
            training.seconds.append(step_seconds(record["timing"]))
            training.rewards.append(record["reward_mean"])
            training.lengths.append(record["completion_length_mean"])
            if "bound_fraction" in record["timing"]:
                training.bound_fractions.append(record["timing"]["bound_fraction"])
        elif record["kind"] == "evaluation":
            training.evaluations.append(Evaluated(record["step"], record["exact"], sum(training.seconds)))
    return training


def step_seconds(timing: dict[str, float]) -> float:
    """Seconds of one of our steps, its rollout included even when the check before training had made it already.

    `seconds_step` is the loop's clock around the step. Sampling, waiting for the reward and the update follow each
    other within it, so beside the update it holds at least the whole rollout, unless that was taken over from the
    check before training: then it holds next to nothing, and the rollout's seconds are added here.
    """
    rollout = timing["seconds_rollout"] + timing["seconds_reward"]
    was_made_before = timing["seconds_step"] - timing["seconds_update"] < rollout / 2
    return timing["seconds_step"] + (rollout if was_made_before else 0.0)


def read_trl(result: dict[str, Any]) -> Training:
    """Take over a result of `trl_side.py`; its steps are whole already."""
    steps = result["steps"]
    return Training(
        [step["seconds"] for step in steps],
        [step["reward_mean"] for step in steps],
        [step["completion_length_mean"] for step in steps],
        [Evaluated(e["step"], e["exact"], e["elapsed_training_seconds"]) for e in result["evaluations"]],
    )
