"""The engine on a GPU: decoding, prefill, updates, memory, and whether the fast paths agree with the plain ones.

    python benchmarks/gpu.py [--sizes tiny 0.6b 4b 8b] [--minutes 8] [--out gpu.json]

Needs torch, transformers and peft; no network, no files: models of published shapes get random weights. Every size
runs in a process of its own, so that an error on the device ends no more than that size. What was measured before
an error or the time limit is kept, and every error is in the results. `--device cpu --sizes tiny` runs the same code
on any machine.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

PART_SECONDS = 100.0
"""No part may take longer."""
SIZES = ("tiny", "0.6b", "4b", "8b")


def main() -> int:
    options = _options()
    deadline = time.monotonic() + 60 * options.minutes
    if len(options.sizes) == 1:
        results = measure_size(options.sizes[0], options.device, deadline, options.out)
    else:
        results = {}
        for number, size in enumerate(options.sizes):
            share = (deadline - time.monotonic()) / (len(options.sizes) - number)
            results |= _in_own_process(size, options.device, share, options.out)
            _write(options.out, results)
    print(table(results))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="models, small to large")
    parser.add_argument("--minutes", type=float, default=8.0, help="limit of the whole script")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="where the results go")
    return parser.parse_args()


def measure_size(size: str, device: str, deadline: float, out: Path) -> dict[str, Any]:
    """Every part for one size of model; the results so far are written after each."""
    from gpu_model import Bench, machine
    from gpu_parts import parts_of

    results: dict[str, Any] = {"machine": machine(device), size: {}}
    found = results[size]
    bench: Bench | None = None

    def build() -> dict[str, Any]:
        nonlocal bench
        bench = Bench(size, device)
        return bench.described()

    run_part(found, "model", build, deadline)
    _write(out, results)
    if bench is not None:
        for name, part in parts_of(bench):
            run_part(found, name, part, deadline)
            _write(out, results)
    return results


def run_part(found: dict[str, Any], name: str, part: Callable[[], dict[str, Any]], deadline: float) -> None:
    """Put a part's figures into `found`, or why there are none."""
    left = min(PART_SECONDS, deadline - time.monotonic())
    started = time.monotonic()
    if left <= 0:
        found[name] = {"error": "not run: no time was left"}
        return
    try:
        with time_limit(left):
            found[name] = part()
    except Exception as error:
        found[name] = {"error": f"{type(error).__name__}: {error}"[:2000]}
    found[name]["seconds_of_part"] = time.monotonic() - started
    print(f"{name}: {found[name]}", file=sys.stderr, flush=True)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TimeoutError inside the block when it takes longer; main thread only."""

    def ring(signal_number: int, frame: FrameType | None) -> None:
        del signal_number, frame
        raise TimeoutError(f"stopped after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _in_own_process(size: str, device: str, seconds: float, out: Path) -> dict[str, Any]:
    part = out.with_name(f"{out.stem}-{size}.json")
    part.unlink(missing_ok=True)
    command = [sys.executable, str(Path(__file__).resolve()), "--device", device, "--sizes", size]
    command += ["--minutes", str(seconds / 60), "--out", str(part)]
    problem = None
    try:
        # A wait inside the device is no place for signals to arrive, so the process is ended from outside.
        status = subprocess.run(command, stdout=subprocess.DEVNULL, timeout=seconds + 10, check=False).returncode
        problem = f"ended with status {status}" if status else None
    except subprocess.TimeoutExpired:
        problem = f"ended after {seconds:.0f} s"
    results: dict[str, Any] = json.loads(part.read_text()) if part.exists() else {}
    part.unlink(missing_ok=True)
    results.setdefault(size, {})
    if problem:
        results[size]["process"] = {"error": problem}
    return results


def _write(out: Path, results: dict[str, Any]) -> None:
    out.write_text(json.dumps(results, indent=1))


def table(results: dict[str, Any]) -> str:
    """One row a figure, one column a size."""
    sizes = [name for name in results if name != "machine"]
    lines = [" · ".join(f"{key} {value}" for key, value in results.get("machine", {}).items()), ""]
    lines += ["| figure | " + " | ".join(sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    names = dict.fromkeys((part, key) for size in sizes for part in results[size] for key in results[size][part])
    for part, key in names:
        cells = [_cell(results[size].get(part, {}).get(key)) for size in sizes]
        lines.append(f"| {part}: {key} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else " ".join(str(value).split())[:60]


if __name__ == "__main__":
    sys.exit(main())
