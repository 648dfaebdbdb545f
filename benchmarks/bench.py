"""`make bench`: the demo's task trained by Tuneward and by TRL's GRPOTrainer, side by side on this machine.

Both get the same model folder, rows, reward file, sizes, adapter, learning rate and threads; each runs as a program
of its own, in its own environment, one at a time. Our side is the product, `tuneward train`, measured by the files a
run leaves; TRL's side is `trl_side.py`. What the figures mean and what the comparison leaves out is told in
docs/benchmarks.md.

    .venv/bin/python benchmarks/bench.py                  # one round, TRL for 10 steps
    .venv/bin/python benchmarks/bench.py --quick          # 2 steps each, no time to 90 %
    .venv/bin/python benchmarks/bench.py --trl-steps 60   # long: TRL's time to 90 % as well
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from paired import Figure, machine, paired_ratio, versions, write_bench

from tuneward.demo import demo_paths
from tuneward.errors import ModelError
from tuneward.models.resolve import resolve

ROOT = Path(__file__).resolve().parent.parent
TRL_PYTHON = ROOT / ".venv-trl" / "bin" / "python"
TRL_SIDE = ROOT / "benchmarks" / "trl_side.py"
MODEL = "smollm2-135m"

COMPARED_STEPS = 10
"""Speeds are compared over this many first steps, or as many as both sides made."""
GOAL = 0.9
"""Share of validation rows, greedily decoded, that must be exact for `time_to_90`; training goes on after it."""
EVALUATE_EVERY = 2
"""Steps between evaluations, on both sides: a coarser grid on one side would lengthen its time to 90 %."""
QUICK_STEPS = 2
QUICK_EVALUATION_ROWS = 8
"""`tuneward train` always evaluates at its start and end; without a time to measure, a few rows do."""
POLL_S = 0.25

DOCUMENT = ROOT / "docs" / "benchmarks.md"
TABLE_BEGIN = "<!-- results: written by benchmarks/bench.py --docs -->"
TABLE_END = "<!-- end of results -->"

BETTER = {
    "steps_per_minute_demo": "higher",
    "seconds_per_step_median": "lower",
    "time_to_90": "lower",
    "peak_memory": "lower",
    "completion_length_mean": "alike",
    "reward_mean": "alike",
    "validation_exact": "alike",
}
"""Every figure, in the order of the table. "alike" marks checks that both sides did the same work."""


class BenchError(Exception):
    """The benchmark cannot go on; one sentence says why."""


@dataclass(frozen=True)
class Task:
    """What both sides train; the numbers are the demo's."""

    model: str
    train: str
    validation: str
    reward: str
    threads: int
    prompts_per_step: int = 8
    samples_per_prompt: int = 8
    max_completion_tokens: int = 48
    learning_rate: float = 3e-4
    lora_r: int = 16
    lora_alpha: float = 32.0
    eval_rows: int = 64


@dataclass(frozen=True)
class Extent:
    """How far each side trains."""

    our_steps: int
    trl_steps: int
    has_goal: bool
    """Whether to evaluate on the way."""


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


def main() -> int:
    arguments = _arguments()
    extent = Extent(arguments.steps, arguments.trl_steps, has_goal=True)
    if arguments.quick:
        extent = Extent(QUICK_STEPS, QUICK_STEPS, has_goal=False)
    try:
        task = demo_task(MODEL)
        if arguments.work is not None:
            arguments.work.mkdir(parents=True, exist_ok=True)
            rounds, peer_versions = measure(task, extent, arguments.rounds, arguments.work)
        else:
            with tempfile.TemporaryDirectory(prefix="tuneward-bench-") as folder:
                rounds, peer_versions = measure(task, extent, arguments.rounds, Path(folder))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; no results were written", file=sys.stderr)
        return 130

    found = make_figures(rounds, has_goal=extent.has_goal)
    known = versions(peer_versions)
    write_bench(arguments.out, found, machine(), known)
    runs = arguments.out.with_name(f"{arguments.out.stem}-runs.json")
    runs.write_text(json.dumps([dataclasses.asdict(one) for one in rounds], indent=2) + "\n")
    table = results_table(rounds, found, has_goal=extent.has_goal)
    print(f"\n{table}\n\nWritten to {arguments.out}; each step and evaluation is in {runs}.")
    if arguments.docs:
        section = f"{conditions(machine(), known)}\n\n{table}"
        DOCUMENT.write_text(replace_results(DOCUMENT.read_text(encoding="utf-8"), section), encoding="utf-8")
        print(f"The results in {DOCUMENT} are these now.")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the demo's task with Tuneward and with TRL, and compare.")
    parser.add_argument("--rounds", type=_positive, default=1, help="trainings of each side (default: 1)")
    parser.add_argument("--steps", type=_positive, default=16, help="steps of Tuneward (default: 16)")
    parser.add_argument("--trl-steps", type=_positive, default=10, help="steps of TRL (default: 10)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS} steps each, no time to 90 %%")
    parser.add_argument("--out", type=Path, default=ROOT / "bench.json", help="results (default: bench.json)")
    parser.add_argument("--work", type=Path, help="keep runs, logs and configurations in this folder")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/benchmarks.md too")
    arguments = parser.parse_args()
    if arguments.quick and arguments.docs:
        parser.error("--docs is for a whole benchmark; leave out --quick")
    return arguments


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("expected at least 1")
    return value


def demo_task(model: str) -> Task:
    """The demo's files with every core of this process.

    Raises:
        BenchError: TRL's environment or the model is missing.
    """
    if not TRL_PYTHON.exists():
        raise BenchError("TRL's environment .venv-trl is missing; make it with: python3 scripts/setup_env.py --trl")
    try:
        folder = resolve(model)
    except ModelError as error:
        raise BenchError(str(error)) from None
    paths = demo_paths()
    threads = machine()["cores"]
    return Task(str(folder), str(paths.train), str(paths.validation), str(paths.reward), int(threads or 1))


def measure(task: Task, extent: Extent, rounds: int, work: Path) -> tuple[list[Round], dict[str, str]]:
    """Train both sides `rounds` times, in turn; returns the rounds and the versions of TRL's environment.

    Raises:
        BenchError: one of the two programs failed.
    """
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Other programs keep this machine busy (load {load:.1f}); the figures will be worse than they could be.")
    measured = []
    peer_versions: dict[str, str] = {}
    for number in range(1, rounds + 1):
        folder = work / f"round-{number}"
        folder.mkdir(exist_ok=True)
        trained: dict[str, Training] = {}
        # Whoever goes second may find files cached or the processor hot, so the order alternates.
        for side in ("Tuneward", "TRL") if number % 2 else ("TRL", "Tuneward"):
            print(f"round {number} of {rounds}, {side}", flush=True)
            if side == "Tuneward":
                trained[side] = train_ours(task, extent, folder, seed=number - 1)
            else:
                trained[side], peer_versions = train_trl(task, extent, folder, seed=number - 1)
        measured.append(Round(trained["Tuneward"], trained["TRL"]))
    return measured, peer_versions


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
        "data": {"train": task.train, "validation": task.validation},
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


def train_trl(task: Task, extent: Extent, folder: Path, *, seed: int) -> tuple[Training, dict[str, str]]:
    """One training by `trl_side.py`; the versions of its environment come with it."""
    specification, result = folder / "trl.json", folder / "trl-result.json"
    specification.write_text(json.dumps(trl_spec(task, extent, seed), indent=2))
    command = [str(TRL_PYTHON), str(TRL_SIDE), str(specification), str(result)]
    log = folder / "trl.log"
    peak = run_program("TRL", command, log, log, _line_of_trl)
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
        "max_completion_tokens": task.max_completion_tokens,
        "learning_rate": task.learning_rate,
        "lora_r": task.lora_r,
        "lora_alpha": task.lora_alpha,
        "seed": seed,
        "evaluate_every": EVALUATE_EVERY if extent.has_goal else None,
        "eval_max_rows": task.eval_rows,
        "threads": task.threads,
    }


def run_program(
    name: str, command: list[str], log: Path, watched: Path, line_of: Callable[[str], str | None]
) -> int | None:
    """Run one side to its end, on the CPU, and tell how it goes.

    Args:
        name: of the side, for messages.
        command: program and arguments.
        log: receives what it prints.
        watched: file that grows by a line at each step.
        line_of: a line of that file → what to print, or None.

    Returns:
        Highest resident memory of the process, bytes; None where the system does not tell.

    Raises:
        BenchError: it failed.
    """
    # TRL's side is set to the CPU; ours takes a GPU where it sees one.
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)
    peak, shown = None, 0
    try:
        while process.poll() is None:
            # The system keeps the peak itself, so the last look is the one that counts.
            peak = peak_memory_bytes(process.pid) or peak
            shown = _tell_news(watched, shown, line_of)
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


def peak_memory_bytes(pid: int) -> int | None:
    """VmHWM of a live process: its highest resident memory so far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), None)


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


def compared_steps(rounds: Sequence[Round]) -> int:
    """How many first steps are compared: as many as every training made, at most `COMPARED_STEPS`."""
    return min(COMPARED_STEPS, *(len(side.seconds) for one in rounds for side in (one.ours, one.peer)))


def make_figures(rounds: Sequence[Round], *, has_goal: bool) -> list[Figure]:
    """Figures of all rounds: medians of each side, and the median of the ratios within rounds.

    A figure that was not measured on our side is absent. `time_to_90` is there whenever ours reached the goal; when
    TRL did not, its figure and the ratio are None: how much longer it would have taken is not known.
    """
    count = compared_steps(rounds)
    found = [
        _figure("steps_per_minute_demo", rounds, lambda side: 60 * count / sum(side.seconds[:count]), "steps/min"),
        _figure("seconds_per_step_median", rounds, lambda side: statistics.median(side.seconds[:count]), "s"),
        _figure("time_to_90", rounds, lambda side: side.seconds_to(GOAL), "s") if has_goal else None,
        _figure("peak_memory", rounds, _peak_mib, "MiB"),
        _figure("completion_length_mean", rounds, lambda side: statistics.fmean(side.lengths[:count]), "tokens"),
        _figure("reward_mean", rounds, lambda side: statistics.fmean(side.rewards[:count]), "reward"),
        _figure("validation_exact", rounds, lambda side: side.exact_at(count), "share") if has_goal else None,
    ]
    return [figure for figure in found if figure is not None]


def _peak_mib(side: Training) -> float | None:
    return None if side.peak_memory_bytes is None else side.peak_memory_bytes / 2**20


def _figure(name: str, rounds: Sequence[Round], of: Callable[[Training], float | None], unit: str) -> Figure | None:
    """One figure; a side counts as measured only when it was in every round."""
    ours = [value for one in rounds if (value := of(one.ours)) is not None]
    peer = [value for one in rounds if (value := of(one.peer)) is not None]
    if len(ours) < len(rounds):
        return None
    has_peer = len(peer) == len(rounds)
    return {
        "name": name,
        "ours": statistics.median(ours),
        "peer": statistics.median(peer) if has_peer else None,
        "ratio": paired_ratio(ours, peer)["median"] if has_peer and min(peer) > 0 else None,
        "unit": unit,
    }


def results_table(rounds: Sequence[Round], found: Sequence[Figure], *, has_goal: bool) -> str:
    """The figures as a Markdown table, with words where a number is missing."""
    count, times = compared_steps(rounds), len(rounds)
    by_name = {figure["name"]: figure for figure in found}
    lines = [
        f"Speed and checks over the first {count} steps; {times} round{'s' if times > 1 else ''}.",
        "",
        "| figure | Tuneward | TRL | Tuneward / TRL | unit | better |",
        "|---|--:|--:|--:|---|---|",
    ]
    for name, better in BETTER.items():
        figure = by_name.get(name)
        if name == "time_to_90" and has_goal:
            ours = _number(figure["ours"]) if figure else missed([one.ours for one in rounds])
            reached = all(one.peer.seconds_to(GOAL) is not None for one in rounds)
            peer_seconds = [one.peer.seconds_to(GOAL) or 0.0 for one in rounds]
            peer = _number(statistics.median(peer_seconds)) if reached else missed([one.peer for one in rounds])
            unit = "s of training"
        elif figure is not None:
            ours, peer, unit = _number(figure["ours"]), _number(figure["peer"]), figure["unit"]
        else:
            continue
        ratio = "–" if figure is None or figure["ratio"] is None else f"{figure['ratio']:.2f}"
        lines.append(f"| `{name}` | {ours} | {peer} | {ratio} | {unit} | {better} |")
    return "\n".join(lines)


def missed(sides: Sequence[Training]) -> str:
    """Words for a goal that was not reached in every round, with the longest training that missed it."""
    failed = [side for side in sides if side.seconds_to(GOAL) is None]
    longest = max(failed, key=lambda side: sum(side.seconds))
    text = f"not reached in {len(longest.seconds)} steps ({sum(longest.seconds):.0f} s)"
    return text if len(failed) == len(sides) else f"{text} in {len(failed)} of {len(sides)} rounds"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def conditions(where: dict[str, str | int | None], known: dict[str, str]) -> str:
    """What a table of figures holds for, as one paragraph."""
    memory = where["memory_bytes"]
    amount = f", {memory / 2**30:.0f} GiB of memory" if isinstance(memory, int) else ""
    packages = ", ".join(f"{name} {version}" for name, version in known.items())
    return f"Measured on {where['cores']} cores of {where['cpu']}{amount}, Python {where['python']}; {packages}."


def replace_results(document: str, section: str) -> str:
    """Put a new section between the marks of the document.

    Raises:
        ValueError: the marks are not there.
    """
    before, begin, rest = document.partition(TABLE_BEGIN)
    _, end, after = rest.partition(TABLE_END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT}: the lines {TABLE_BEGIN!r} and {TABLE_END!r} are missing.")
    return f"{before}{begin}\n\n{section}\n\n{end}{after}"


if __name__ == "__main__":
    sys.exit(main())
