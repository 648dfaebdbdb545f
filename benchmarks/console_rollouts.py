"""How a server browses the rollouts of a long run: its memory must not grow with them.

.venv/bin/python benchmarks/console_rollouts.py [--rollouts 1000000] [--pages 300]     # writes bench-rollouts.json

The run is made up: random words with random rewards, written by what a run writes with. The server is a process of its
own, as a user starts it; a client turns pages anywhere in the run, and the server's resident memory is read meanwhile.
Making a million rollouts takes some minutes and about two gigabytes of disk.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from served import KEY, serving

from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.config import ServerConfig
from tuneward.jobs.places import job_home, open_database
from tuneward.jobs.service import JobService, NewJob
from tuneward.jobs.spec import JobSpec, UriSource
from tuneward.rl.rollout import Rollout
from tuneward.runs.rollouts import RolloutKeeper
from tuneward.types import Completion, FinishReason, Group, Prompt, Receipt, Row, Score, Verdict

GROUPS_PER_STEP, SAMPLES, TOKENS, ROWS = 64, 8, 128, 10_000
CALL = Receipt("reward.py@00000000", Verdict.OK, wall_s=0.01, isolation="sandbox")


def make_run(path: Path, rollouts: int, chance: random.Random) -> dict[str, float]:
    """Write a run; returns how long a step took and how large the file is."""
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(1, 8))) + " " for _ in range(5000)]
    lengths = [len(word) for word in words]
    rows = [
        Row(f"row-{n}", ({"role": "user", "content": "".join(chance.choices(words, k=40))},), "42", {}, (), n + 1)
        for n in range(ROWS)
    ]
    path.parent.mkdir(parents=True)
    steps, seconds = rollouts // (GROUPS_PER_STEP * SAMPLES), 0.0
    keeper = RolloutKeeper(
        path, lambda completion: [lengths[token] for token in completion.token_ids], lambda token: words[token]
    )
    with closing(keeper):
        for step in range(1, steps + 1):
            groups, scores = [], []
            for row in chance.sample(rows, GROUPS_PER_STEP):
                completions = []
                for index in range(SAMPLES):
                    ids = tuple(chance.choices(range(len(words)), k=TOKENS))
                    logprobs = tuple(-chance.expovariate(1.0) for _ in ids)
                    text = "".join(words[token] for token in ids)
                    completions.append(Completion(index, ids, logprobs, (), text, FinishReason.STOP))
                groups.append(Group(Prompt(row, ()), tuple(completions)))
                scores.append(tuple(Score("", chance.random(), CALL) for _ in completions))
            rollout = Rollout(tuple(groups), tuple(scores), 0.0, 0.0)
            began = time.perf_counter()
            keeper.keep(step, [rollout], [0.0] * (GROUPS_PER_STEP * SAMPLES))
            keeper.flush()
            seconds += time.perf_counter() - began
            if step % 200 == 0:
                print(f"  {step} of {steps} steps", file=sys.stderr)
    size = path.stat().st_size
    return {
        "rollouts": steps * GROUPS_PER_STEP * SAMPLES,
        "steps": steps,
        "file_gb": round(size / 1e9, 2),
        "bytes_per_token": round(size / (steps * GROUPS_PER_STEP * SAMPLES * TOKENS), 2),
        "write_ms_per_step": round(1000 * seconds / steps, 1),
        "write_us_per_sample": round(1e6 * seconds / (steps * GROUPS_PER_STEP * SAMPLES), 1),
    }


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def browse(url: str, pid: int, job: str, steps: int, pages: int, chance: random.Random) -> dict[str, Any]:
    """Turn pages of every kind; returns the times of each kind, and memory before and after."""
    took: dict[str, list[float]] = {}
    memory: list[float] = []
    with httpx.Client(base_url=f"{url}/api/jobs/{job}", headers={"Authorization": f"Bearer {KEY}"}) as client:

        def get(kind: str, path: str, **query: Any) -> Any:
            began = time.perf_counter()
            answer = client.get(path, params=query).raise_for_status()
            took.setdefault(kind, []).append(time.perf_counter() - began)
            return answer.json()

        for page in range(pages):
            step = chance.randint(1, steps)
            if page % 10 == 0:
                get("steps", "rollouts/steps")
            found = get("groups", "rollouts", step=step, sort=chance.choice(["line", "reward", "spread"]))
            row = chance.choice(found["data"])["row"]
            get("group", "rollouts/group", step=step, row=row)
            get("group with tokens", "rollouts/group", step=step, row=row, tokens=True)
            get("history", "rollouts/history", row=row)
            if page % 5 == 0:
                get("search", "rollouts", step=step, search="abc")
            memory.append(resident_mb(pid))
    warm = len(memory) // 4
    return {
        "requests": sum(map(len, took.values())),
        "rss_mb_after_a_quarter": round(memory[warm], 1),
        "rss_mb_at_the_end": round(memory[-1], 1),
        "rss_mb_growth": round(memory[-1] - memory[warm], 1),
        "ms": {
            kind: {"p50": round(1000 * sorted(times)[len(times) // 2], 1), "max": round(1000 * max(times), 1)}
            for kind, times in took.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=1_000_000)
    parser.add_argument("--pages", type=int, default=300)
    arguments = parser.parse_args()
    chance = random.Random(0)
    with tempfile.TemporaryDirectory(prefix="tuneward-bench-") as folder:
        home = Path(folder)
        config = ServerConfig(home=home)
        with closing(open_database(config)) as database:
            spec = JobSpec(method="reinforcement", base_model="bench", training=UriSource(uri="s3://bench/rows.jsonl"))
            caller = Principal("bench", DEFAULT_PROJECT, "000000000000", "admin")
            job = JobService(database).create(caller, NewJob("openai", "bench", spec, {})).id
        path = job_home(home, DEFAULT_PROJECT, job) / "run" / "rollouts.db"
        made = make_run(path, arguments.rollouts, chance)
        with serving({"home": folder, "workers": 0}, home) as (url, pid):
            browsed = browse(url, pid, f"ftjob-{job}", int(made["steps"]), arguments.pages, chance)
    report = json.dumps({"made": made, "browsed": browsed}, indent=2)
    Path("bench-rollouts.json").write_text(report + "\n")
    print(report)


if __name__ == "__main__":
    main()
