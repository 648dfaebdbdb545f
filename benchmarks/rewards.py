"""`make bench-rewards`: how fast scoring is, and how much of it training has to wait for.

    .venv/bin/python benchmarks/rewards.py              # everything
    .venv/bin/python benchmarks/rewards.py --quick      # without training

What the figures mean is told in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from paired import Figure, machine, print_figures, versions, write_bench

from tuneward.config import GraderConfig
from tuneward.errors import ModelError
from tuneward.models.resolve import resolve
from tuneward.rewards import build_grader
from tuneward.rewards.functions.registry import FunctionRegistry
from tuneward.rewards.functions.source import read_source
from tuneward.types import Grader, Row, Sample

ROOT = Path(__file__).resolve().parent.parent
MODEL = "smollm2-135m"
BATCH = 64
GROUP = 8
"""Completions handed over at once by each of the trainer's threads, as in training."""
THREADS = 4
ROUNDS = 5
JUDGE_CALLS, JUDGE_LATENCY_S = 256, 0.25
GRADER_LATENCY_S = 0.045
"""Of the grader that training waits for: slow for a rule, but under the 50 ms at which nothing should be felt."""
TRAINING_STEPS = 3

TRIVIAL = """\
def lambda_handler(event, context):
    return [
        {"id": s["id"], "aggregate_reward_score": float(s["messages"][-1]["content"].strip() == s["reference_answer"])}
        for s in event
    ]
"""
SLOW = f"""\
import time

def lambda_handler(event, context):
    time.sleep({GRADER_LATENCY_S})
    return [{{"id": s["id"], "aggregate_reward_score": len(s["messages"][-1]["content"]) % 7 / 7}} for s in event]
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how fast scoring is.")
    parser.add_argument("--quick", action="store_true", help="leave out the part that trains")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-rewards.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tuneward-bench-") as folder:
        found = measure_all(Path(folder), with_training=not arguments.quick)
    write_bench(arguments.out, found, machine(), versions())
    print_figures(found, "Scoring")
    print(f"Written to {arguments.out}.")
    return 0


def measure_all(folder: Path, *, with_training: bool) -> list[Figure]:
    """All figures; the training part is left out, with a word, where the model is missing."""
    file = folder / "trivial.py"
    file.write_text(TRIVIAL)
    graders = {
        "file": {"file": file, "workers": 2},
        "sandboxed_file": {"file": file, "isolation": "sandbox", "workers": 2},
        "function": {"function": "trivial", "workers": 2},
    }
    found: list[Figure] = []
    for name, grading in graders.items():
        with home_in(folder):
            if name == "function":
                source = read_source(file)
                FunctionRegistry().create("trivial", source.archive, handler=source.handler)
            grader = build_grader(GraderConfig.model_validate(grading))
        try:
            found.append(_figure(f"{name}_throughput", samples_per_second(grader), "samples/s"))
            found.append(_figure(f"{name}_latency", batch_latency_ms(grader), f"ms per {BATCH} samples"))
        finally:
            grader.close()
    in_flight, seconds = judge_calls()
    found.append(_figure("judge_calls_in_flight", in_flight, "calls"))
    found.append(_figure("judge_seconds", seconds, f"s for {JUDGE_CALLS} calls of {JUDGE_LATENCY_S:g} s"))
    if with_training:
        try:
            found.append(_figure("grader_wait", grader_wait(folder, str(resolve(MODEL))), "share of a step"))
        except ModelError as error:
            print(f"grader_wait is left out: {error}", file=sys.stderr)
    return found


@contextmanager
def home_in(folder: Path) -> Iterator[None]:
    """Inside the block functions are registered and found in a folder of the benchmark's own."""
    before = os.environ.get("TUNEWARD_HOME")
    os.environ["TUNEWARD_HOME"] = str(folder)
    try:
        yield
    finally:
        del os.environ["TUNEWARD_HOME"]
        if before is not None:
            os.environ["TUNEWARD_HOME"] = before


def _figure(name: str, value: float, unit: str) -> Figure:
    return {"name": name, "ours": value, "peer": None, "ratio": None, "unit": unit}


def make_samples(count: int, prefix: str) -> list[Sample]:
    row = Row("row", ({"role": "user", "content": "What is 7 times 8? Answer with the number."},), "56")
    return [Sample(f"{prefix}/{index}", row, "56" if index % 2 else "54") for index in range(count)]


def samples_per_second(grader: Grader) -> float:
    """Median over rounds: groups from several threads at once, in warm processes."""
    groups = [make_samples(BATCH, str(number)) for number in range(100)]
    rates = []
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(ROUNDS + 1):
            started = time.perf_counter()
            scores = list(pool.map(grader.score, groups))
            rates.append(BATCH * len(groups) / (time.perf_counter() - started))
            assert all(score.is_scored for batch in scores for score in batch)
    return statistics.median(rates[1:])


def batch_latency_ms(grader: Grader) -> float:
    """Median time of one batch, one at a time: the function's own work is microseconds, so this is what is added."""
    samples = make_samples(BATCH, "latency")
    seconds = []
    for _ in range(200):
        started = time.perf_counter()
        grader.score(samples)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def judge_calls() -> tuple[float, float]:
    """Most calls in flight at once at a judge that takes its time, and seconds for all of them."""
    server, seen = judge_server()
    judge = {"model": "judge", "cache": False}
    connection = {"url": f"http://127.0.0.1:{server.server_port}/v1", "concurrency": 64}
    grader = build_grader(GraderConfig.model_validate({"judge": judge, "connection": connection}))
    try:
        samples = [
            Sample(
                str(number), Row(str(number), ({"role": "user", "content": f"Question {number}"},)), f"Answer {number}"
            )
            for number in range(JUDGE_CALLS)
        ]
        started = time.perf_counter()
        scores = grader.score(samples)
        seconds = time.perf_counter() - started
        assert all(score.is_scored for score in scores), scores[0].receipt.message
        return float(seen["most"]), seconds
    finally:
        grader.close()
        server.shutdown()


def judge_server() -> tuple[ThreadingHTTPServer, dict[str, int]]:
    """A judge that answers every call after `JUDGE_LATENCY_S`, and counts those it holds."""
    seen = {"now": 0, "most": 0}
    lock = threading.Lock()

    class Judge(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            schema = asked["response_format"]["json_schema"]["schema"]["properties"]
            criteria = dict.fromkeys(schema.get("criteria", {}).get("properties", {}), True)
            verdict = json.dumps({"reasoning": "It will do.", "criteria": criteria, "score": 1})
            with lock:
                seen["now"] += 1
                seen["most"] = max(seen["most"], seen["now"])
            time.sleep(JUDGE_LATENCY_S)
            with lock:
                seen["now"] -= 1
            message = {"role": "assistant", "content": verdict}
            body = json.dumps(
                {
                    "model": "judge",
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, seen


def grader_wait(folder: Path, model: str) -> float:
    """Share of a training step spent waiting for a grader of 45 ms, median over steps of a real run."""
    (folder / "slow.py").write_text(SLOW)
    rows = [
        {"messages": [{"role": "user", "content": f"Write a short sentence about the number {number}."}]}
        for number in range(40)
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {
        "model": model,
        "data": {"train": "train.jsonl"},
        "reward": {"file": "slow.py", "batch_size": GROUP},
        "training": {"max_steps": TRAINING_STEPS, "max_completion_tokens": 32},
        "evaluation": {"max_rows": 4, "preflight_prompts": 8},
        "run": {"root": str(folder / "runs"), "name": "wait"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "tuneward", "train", str(folder / "config.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"tuneward train failed: {done.stderr.strip()}")
    records = [json.loads(line) for line in (folder / "runs" / "wait" / "metrics.jsonl").read_text().splitlines()]
    timings = [record["timing"] for record in records if record["kind"] == "step"]
    return statistics.median(timing["seconds_reward"] / timing["seconds_step"] for timing in timings)


if __name__ == "__main__":
    sys.exit(main())
