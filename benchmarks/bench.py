"""`make bench`: Tuneward and TRL's GRPOTrainer train the same tasks, side by side on this machine.

Both get the same model folder, rows, reward file, sizes, adapter, learning rate and threads; each runs as a program
of its own, in its own environment, one at a time. Our side is the product, `tuneward train`, measured by the files a
run leaves; TRL's side is `trl_side.py`. What the figures mean and what the comparison leaves out is told in
docs/benchmarks.md.

    .venv/bin/python benchmarks/bench.py                  # everything, one round
    .venv/bin/python benchmarks/bench.py demo --quick     # 2 steps each of the demo's task, no time to 90 %
    .venv/bin/python benchmarks/bench.py demo --trl-steps 60   # long: TRL's time to 90 % for certain
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
from collections.abc import Callable, Sequence
from pathlib import Path

from paired import Figure, machine, paired_ratio, versions, write_bench
from sides import TRL_PYTHON, BenchError, Extent, Round, Training, train_ours, train_trl
from tasks import GSM8K, ROOT, Task, demo_task, gsm8k_task

from tuneward.errors import ModelError
from tuneward.models.resolve import resolve

MODEL = "smollm2-135m"

COMPARED_STEPS = 10
"""Speeds are compared over this many first steps, or as many as both sides made."""
GOAL = 0.9
"""Share of validation rows, greedily decoded, that must be exact for `time_to_90`; training goes on after it."""
QUICK_STEPS = 2
WORKLOAD_STEPS = {"gsm8k": (4, 2), "long_prompt": (1, 1)}
"""Steps of Tuneward and of TRL, whose take minutes each."""
PATIENCE = {"long_prompt": 8.0}
"""How many times our time TRL's steps may take before it is stopped; a lower bound of the ratio is as good then."""
LONG_CONTEXT_CHARACTERS = 3000
"""About 1,000 tokens of solved problems before each prompt."""
DECODE_PAIRS = 3
PARTS = ("demo", "gsm8k", "long_prompt", "decode")

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
    "gsm8k": "higher",
    "peak_memory_gsm8k": "lower",
    "completion_length_gsm8k": "alike",
    "bound_fraction": "higher",
    "long_prompt": "higher",
    "peak_memory_long_prompt": "lower",
    "completion_length_long_prompt": "alike",
    "decode": "higher",
}
"""Every figure, in the order of the table. "alike" marks checks that both sides did the same work."""


def main() -> int:
    arguments = _arguments()
    try:
        if arguments.work is not None:
            found, rounds, peer_versions = measure_all(arguments, arguments.work)
        else:
            with tempfile.TemporaryDirectory(prefix="tuneward-bench-") as folder:
                found, rounds, peer_versions = measure_all(arguments, Path(folder))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; no results were written", file=sys.stderr)
        return 130

    known = versions(peer_versions)
    write_bench(arguments.out, found, machine(), known)
    runs = arguments.out.with_name(f"{arguments.out.stem}-runs.json")
    kept = {part: [dataclasses.asdict(one) for one in measured] for part, measured in rounds.items()}
    runs.write_text(json.dumps(kept, indent=2) + "\n")
    table = results_table(found, rounds, has_goal=not arguments.quick)
    print(f"\n{table}\n\nWritten to {arguments.out}; each step and evaluation is in {runs}.")
    if arguments.docs:
        section = f"{conditions(machine(), known)}\n\n{table}"
        DOCUMENT.write_text(replace_results(DOCUMENT.read_text(encoding="utf-8"), section), encoding="utf-8")
        print(f"The results in {DOCUMENT} are these now.")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the same tasks with Tuneward and with TRL, and compare.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--rounds", type=_positive, default=1, help="trainings of each side (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first round, one more each round (default: 0)")
    parser.add_argument("--steps", type=_positive, default=16, help="steps of Tuneward on the demo (default: 16)")
    parser.add_argument("--trl-steps", type=_positive, default=10, help="steps of TRL on the demo (default: 10)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS} steps of the demo, no time to 90 %%")
    parser.add_argument("--gsm8k", type=Path, default=GSM8K, help="folder with GSM8K's train.jsonl and test.jsonl")
    parser.add_argument("--out", type=Path, default=ROOT / "bench.json", help="results (default: bench.json)")
    parser.add_argument("--work", type=Path, help="keep runs, logs and configurations in this folder")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/benchmarks.md too")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    arguments.parts = arguments.parts or (["demo"] if arguments.quick else list(PARTS))
    if arguments.docs and (arguments.quick or set(arguments.parts) != set(PARTS)):
        parser.error("--docs is for a whole benchmark; leave out --quick and the parts")
    return arguments


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("expected at least 1")
    return value


def measure_all(
    arguments: argparse.Namespace, work: Path
) -> tuple[list[Figure], dict[str, list[Round]], dict[str, str]]:
    """Measure the parts asked for; returns figures, the trainings behind them, and the versions of TRL's environment.

    Raises:
        BenchError: TRL's environment, the model or the data is missing, or a program failed.
    """
    if not TRL_PYTHON.exists():
        raise BenchError("TRL's environment .venv-trl is missing; make it with: python3 scripts/setup_env.py --trl")
    try:
        model = str(resolve(MODEL))
    except ModelError as error:
        raise BenchError(str(error)) from None
    threads = int(machine()["cores"] or 1)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Other programs keep this machine busy (load {load:.1f}); the figures will be worse than they could be.")
    found: list[Figure] = []
    rounds: dict[str, list[Round]] = {}
    peer_versions: dict[str, str] = {}
    for part in arguments.parts:
        if part != "demo" and not (arguments.gsm8k / "test.jsonl").is_file():
            print(f"{part} is left out: no GSM8K in {arguments.gsm8k}; name its folder with --gsm8k")
            continue
        folder = work / part
        folder.mkdir(parents=True, exist_ok=True)
        if part == "decode":
            found.append(measure_decode(arguments.gsm8k))
            continue
        if part == "demo":
            task = demo_task(model, threads)
            extent = Extent(arguments.steps, arguments.trl_steps, has_goal=True)
            if arguments.quick:
                extent = Extent(QUICK_STEPS, QUICK_STEPS, has_goal=False)
        else:
            context = LONG_CONTEXT_CHARACTERS if part == "long_prompt" else 0
            task = gsm8k_task(model, threads, folder / "data", arguments.gsm8k, context_characters=context)
            extent = Extent(*WORKLOAD_STEPS[part], has_goal=False, patience=PATIENCE.get(part))
        print(part)
        rounds[part], found_versions = measure(task, extent, arguments.rounds, folder, first_seed=arguments.seed)
        peer_versions = found_versions or peer_versions
        found += (
            demo_figures(rounds[part], has_goal=extent.has_goal)
            if part == "demo"
            else workload_figures(part, rounds[part])
        )
    return found, rounds, peer_versions


def measure_decode(gsm8k: Path) -> Figure:
    """Tokens per second of plain decoding, in turn with `transformers`; see decode.py."""
    print("decode")
    command = [sys.executable, str(ROOT / "benchmarks" / "decode.py"), MODEL, str(gsm8k), str(DECODE_PAIRS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise BenchError(f"decode.py failed: {last}")
    figure: Figure = json.loads(done.stdout.splitlines()[-1])
    return figure


def measure(
    task: Task, extent: Extent, rounds: int, work: Path, *, first_seed: int = 0
) -> tuple[list[Round], dict[str, str]]:
    """Train both sides `rounds` times, in turn; returns the rounds and the versions of TRL's environment.

    Raises:
        BenchError: one of the two programs failed.
    """
    measured = []
    peer_versions: dict[str, str] = {}
    for number in range(1, rounds + 1):
        seed = first_seed + number - 1
        folder = work / f"round-{number}"
        folder.mkdir(exist_ok=True)
        trained: dict[str, Training] = {}
        # Whoever goes second may find files cached or the processor hot, so the order alternates.
        for side in ("Tuneward", "TRL") if number % 2 else ("TRL", "Tuneward"):
            print(f"round {number} of {rounds}, {side}", flush=True)
            if side == "Tuneward":
                trained[side] = train_ours(task, extent, folder, seed=seed)
            else:
                limit_s = None
                # Who goes first alternates; a round that TRL begins is judged by our time in the round before.
                known = trained.get("Tuneward") or (measured[-1].ours if measured else None)
                if extent.patience is not None and known is not None:
                    limit_s = extent.patience * sum(known.seconds)
                trained[side], found = train_trl(task, extent, folder, seed=seed, limit_s=limit_s)
                peer_versions = found or peer_versions
        measured.append(Round(trained["Tuneward"], trained["TRL"]))
    return measured, peer_versions


def compared_steps(rounds: Sequence[Round]) -> int:
    """How many first steps are compared: as many as every training made, at most `COMPARED_STEPS`.

    A training that was stopped for its slowness counts as if it had made them: its time is a bound.
    """
    sides = [side for one in rounds for side in (one.ours, one.peer) if side.stopped_after_s is None]
    return min(COMPARED_STEPS, *(len(side.seconds) for side in sides))


def demo_figures(rounds: Sequence[Round], *, has_goal: bool) -> list[Figure]:
    """Figures of the demo's task: medians of each side, and the median of the ratios within rounds.

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


def workload_figures(name: str, rounds: Sequence[Round]) -> list[Figure]:
    """Speed and memory of a task on which both sides only make some steps."""
    count = compared_steps(rounds)
    found = [
        _figure(
            name, rounds, lambda side: 60 * count / (side.stopped_after_s or sum(side.seconds[:count])), "steps/min"
        ),
        _figure(f"peak_memory_{name}", rounds, _peak_mib, "MiB"),
        _figure(
            f"completion_length_{name}",
            rounds,
            lambda side: statistics.fmean(side.lengths[:count]) if side.lengths else None,
            "tokens",
        ),
    ]
    if name == "gsm8k":
        ours = [statistics.fmean(one.ours.bound_fractions) for one in rounds]
        found.append(
            {"name": "bound_fraction", "ours": statistics.median(ours), "peer": None, "ratio": None, "unit": "share"}
        )
    return [figure for figure in found if figure is not None]


def results_table(found: Sequence[Figure], measured: dict[str, list[Round]], *, has_goal: bool) -> str:
    """The figures as a Markdown table, with words where a number is missing."""
    rounds = measured.get("demo", [])
    by_name = {figure["name"]: figure for figure in found}
    lines = [
        *(_extent_words(part, trained) for part, trained in measured.items()),
        "",
        "| figure | Tuneward | TRL | Tuneward / TRL | unit | better |",
        "|---|--:|--:|--:|---|---|",
    ]
    for name, better in BETTER.items():
        figure = by_name.get(name)
        if name == "time_to_90" and rounds and has_goal:
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
        if any(one.peer.stopped_after_s is not None for one in measured.get(name, [])):
            peer, ratio = f"below {peer}", f"above {ratio}"
        lines.append(f"| `{name}` | {ours} | {peer} | {ratio} | {unit} | {better} |")
    return "\n".join(lines)


def _extent_words(part: str, rounds: Sequence[Round]) -> str:
    return f"- `{part}`: first {compared_steps(rounds)} steps, {len(rounds)} round{'s' if len(rounds) > 1 else ''}"


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
