"""How much open consoles slow training: steps of one job while 20 live streams of it are open, and while none is.

.venv/bin/python benchmarks/console_tabs.py [MODEL] [--quick]     # writes bench-console-tabs.json

Within one job, a few steps without streams and a few with them take turns, so that a machine that is slow for a minute
is slow for both. The policy hardly changes (a tiny learning rate), so that the steps are alike. The server, its worker
and the job are processes of their own, as a user starts them; the streams are read by this one, on the same processor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from paired import Figure, machine, paired_figure, print_figures, versions, write_bench
from served import KEY, serving

from tuneward.demo import demo_paths

BAR = 1.03
"""Steps may take no more than so many times as long."""
LOOK_S = 1.0
"""How often it is asked how far the job is, in both parts alike."""
GRADER = {
    "type": "text_similarity",
    "name": "alike",
    "evaluation_metric": "fuzzy_match",
    "input": "{{sample.output_text}}",
    "reference": "{{item.reference_answer.name}}",
}


def job_body(file_id: str, steps: int) -> dict[str, Any]:
    """A job of so many steps that are alike."""
    return {
        "model": "bench",
        "training_file": file_id,
        "method": {"type": "reinforcement", "reinforcement": {"grader": GRADER}},
        "tuneward": {
            "training": {
                "epochs": 50,
                "max_steps": steps,
                "learning_rate": 1e-9,
                "prompts_per_step": 4,
                "samples_per_prompt": 4,
                "max_completion_tokens": 24,
            },
            "evaluation": {"every_steps": 1000, "max_rows": 4, "preflight_prompts": 2, "early_stopping": False},
        },
    }


async def watch(client: httpx.AsyncClient, path: str) -> None:
    """One tab: reads a stream until it is cancelled."""
    async with client.stream("GET", path, timeout=None) as response:
        async for _ in response.aiter_bytes():
            pass


@asynccontextmanager
async def tabs(client: httpx.AsyncClient, job_id: str, count: int) -> AsyncIterator[None]:
    """So many streams, half of them of the job's page and half of the list."""
    paths = (f"/api/jobs/{job_id}/live", "/api/live")
    tasks = [asyncio.create_task(watch(client, paths[number % 2])) for number in range(count)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def reached(client: httpx.AsyncClient, job_id: str, step: int) -> None:
    """Wait until a job has done a step."""
    while True:
        job = (await client.get(f"/v1/fine_tuning/jobs/{job_id}")).raise_for_status().json()
        if (job["tuneward"]["step"] or 0) >= step:
            return
        if job["status"] in ("failed", "cancelled", "succeeded"):
            raise SystemExit(f"the job has ended too early: {job['status']} {job['error']}")
        await asyncio.sleep(LOOK_S)


async def step_seconds(client: httpx.AsyncClient, job_id: str) -> dict[int, float]:
    """Step → how long it took."""
    text = (await client.get(f"/api/jobs/{job_id}/live", params={"after": 0, "follow": "false"})).text
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    return {one["step"]: one["data"]["timing"]["seconds_step"] for one in events if one.get("code") == "step"}


def processor_seconds(process_id: int) -> float:
    """What a process has used so far, in its own code and in the system's."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Part:
    """Some steps of the job."""

    begin: int
    end: int
    processor_share: float
    """Of one core, used by the server."""


async def measure(url: str, process_id: int, pairs: int, steps: int, count: int) -> tuple[list[Part], dict[int, float]]:
    """Parts without and with streams in turn, and how long each step of the job took."""
    limits = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120, limits=limits) as client:
        files = {"file": ("train.jsonl", demo_paths().train.read_bytes())}
        file = (await client.post("/v1/files", data={"purpose": "fine-tune"}, files=files)).raise_for_status().json()
        answer = await client.post("/v1/fine_tuning/jobs", json=job_body(file["id"], steps=2 * pairs * steps + 4))
        if answer.status_code != 200:
            raise SystemExit(f"the job was refused: {answer.text}")
        job_id = answer.json()["id"]
        await reached(client, job_id, 2)  # the first steps warm up
        parts: list[Part] = []
        at = 2
        for number in range(2 * pairs):
            begin, at = at, at + steps
            began, used = time.monotonic(), processor_seconds(process_id)
            async with tabs(client, job_id, count if number % 2 else 0):
                await reached(client, job_id, at)
            share = (processor_seconds(process_id) - used) / (time.monotonic() - began)
            parts.append(Part(begin, at, share))
        took = await step_seconds(client, job_id)
        await client.post(f"/v1/fine_tuning/jobs/{job_id}/cancel")
    return parts, took


def figures_of(parts: Sequence[Part], took: Mapping[int, float], count: int) -> list[Figure]:
    """Steps and the server's processor time with streams, beside the same without."""
    # The first step of each part has begun in the one before, and may have seen either.
    medians = [statistics.median(took[step] for step in range(part.begin + 2, part.end + 1)) for part in parts]
    shares = [part.processor_share for part in parts]
    return [
        paired_figure(f"step with {count} open streams", medians[1::2], medians[::2], "s"),
        {
            "name": f"server, with {count} open streams",
            "ours": statistics.median(shares[1::2]),
            "peer": statistics.median(shares[::2]),
            "ratio": None,
            "unit": "cores",
        },
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--tabs", type=int, default=20, help="open streams")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of the job")
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    parser.add_argument("--out", type=Path, default=Path("bench-console-tabs.json"))
    options = parser.parse_args()
    pairs, steps = (3, 6) if options.quick else (10, 10)
    with tempfile.TemporaryDirectory() as folder:
        model = {"name": options.model, "id": "bench"}
        config = {"home": f"{folder}/data", "models": [model], "workers": 1, "threads": options.threads}
        with serving(config, Path(folder)) as (url, process_id):
            parts, took = asyncio.run(measure(url, process_id, pairs, steps, options.tabs))
    figures = figures_of(parts, took, options.tabs)
    title = f"{options.model}, {pairs} pairs of {steps} steps; the peer is the same without streams"
    print_figures(figures, title=title)
    write_bench(options.out, figures, machine(), versions())
    ratio = figures[0]["ratio"]
    if ratio is None or ratio > BAR:
        raise SystemExit(f"{options.tabs} streams slow a step by more than {BAR - 1:.0%}")


if __name__ == "__main__":
    main()
