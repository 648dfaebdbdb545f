"""How `tuneward serve` stands up to load: clients that poll jobs, chats that stream together, and one chat at a time.

.venv/bin/python benchmarks/serving.py [MODEL] [--quick]     # writes bench-serve.json

Without MODEL a tiny random one is served for polling and streams, and the embedded one for the tokens per second.
The server is a process of its own, as a user starts it, with a worker that has no job to work on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import openai
from served import KEY, serving

ROOT = Path(__file__).resolve().parent.parent
QUESTION = "Write a short story about a lighthouse keeper, number {}."
POLL_EVERY_S = 3.0
"""Of each client: a job's state, its events and the list of jobs, one a second. OpenAI's own helpers wait five."""


def config_of(model: str, home: Path) -> dict[str, Any]:
    """Of a server with one model that trains nothing."""
    return {"home": str(home / "data"), "models": [{"name": model, "id": "bench"}], "workers": 0}


async def polling(url: str, clients: int, seconds: float, jobs: int) -> dict[str, Any]:
    """Clients that look after their job: its state, its newest events, the list."""
    took: list[float] = []
    failures = 0
    headers = {"Authorization": f"Bearer {KEY}"}

    def connect() -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(verify=False)  # making a TLS context takes longer than many requests
        return httpx.AsyncClient(base_url=f"{url}/v1", headers=headers, transport=transport, timeout=60)

    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connect())
        row = json.dumps({"messages": [{"role": "user", "content": "Hello"}], "reference_answer": "Hello"})
        content = "".join(row.replace("Hello", f"Hello {number}") + "\n" for number in range(100)).encode()
        file = await client.post("/files", data={"purpose": "fine-tune"}, files={"file": ("rows.jsonl", content)})
        grader = {"type": "string_check", "name": "exact", "operation": "eq"}
        grader |= {"input": "{{sample.output_text}}", "reference": "{{item.reference_answer}}"}
        body = {
            "model": "bench",
            "training_file": file.raise_for_status().json()["id"],
            "method": {"type": "reinforcement", "reinforcement": {"grader": grader}},
        }
        made = [
            (await client.post("/fine_tuning/jobs", json=body)).raise_for_status().json()["id"] for _ in range(jobs)
        ]
        # Each has a connection of its own, as clients on as many machines have.
        own = [await stack.enter_async_context(connect()) for _ in range(clients)]

        until = time.perf_counter() + seconds

        async def poll(number: int) -> None:
            nonlocal failures
            client = own[number]
            chance = random.Random(number)
            await asyncio.sleep(chance.random() * POLL_EVERY_S)
            job = f"/fine_tuning/jobs/{made[number % len(made)]}"
            while time.perf_counter() < until:
                for path in (job, f"{job}/events", "/fine_tuning/jobs"):
                    began = time.perf_counter()
                    answer = await client.get(path)
                    took.append(time.perf_counter() - began)
                    failures += answer.status_code != 200
                    await asyncio.sleep(POLL_EVERY_S / 3 * chance.uniform(0.8, 1.2))

        await asyncio.gather(*(poll(number) for number in range(clients)))
    ordered = sorted(took)
    return {
        "clients": clients,
        "jobs": jobs,
        "requests": len(took),
        "requests_per_s": round(len(took) / seconds, 1),
        "failures": failures,
        "p50_ms": round(1000 * ordered[len(ordered) // 2], 1),
        "p95_ms": round(1000 * ordered[int(0.95 * len(ordered))], 1),
    }


async def chats(url: str, requests: int, tokens: int, *, at_once: int) -> dict[str, Any]:
    """Ask everything with so many requests under way; answers that end early count with what they have."""
    room = asyncio.Semaphore(at_once)
    firsts: list[float] = []
    failures = 0

    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=600) as client:

        async def ask(number: int) -> int:
            nonlocal failures
            async with room:
                began, count = time.perf_counter(), 0
                try:
                    stream = await client.chat.completions.create(
                        model="bench",
                        messages=[{"role": "user", "content": QUESTION.format(number)}],
                        max_tokens=tokens,
                        seed=number,
                        stream=True,
                        stream_options={"include_usage": True},
                    )
                    is_first = True
                    async for chunk in stream:
                        if is_first and chunk.choices and chunk.choices[0].delta.content:
                            firsts.append(time.perf_counter() - began)
                            is_first = False
                        count = chunk.usage.completion_tokens if chunk.usage else count
                except openai.OpenAIError:
                    failures += 1
                return count

        start = time.perf_counter()
        counts = await asyncio.gather(*(ask(number) for number in range(requests)))
        seconds = time.perf_counter() - start
    return {
        "at_once": at_once,
        "requests": requests,
        "failures": failures,
        "tokens": sum(counts),
        "seconds": round(seconds, 2),
        "tokens_per_s": round(sum(counts) / seconds, 1),
        "median_first_token_s": round(sorted(firsts)[len(firsts) // 2], 2) if firsts else None,
    }


async def streams(url: str, requests: int, tokens: int) -> dict[str, Any]:
    """One at a time against 32 at once, of the same questions."""
    await chats(url, 1, 4, at_once=1)  # the model is loaded at its first use
    alone = await chats(url, max(2, requests // 8), tokens, at_once=1)
    together = await chats(url, requests, tokens, at_once=32)
    return {
        "one_at_a_time": alone,
        "together": together,
        "ratio": round(together["tokens_per_s"] / alone["tokens_per_s"], 2),
    }


def tiny_model(folder: Path) -> str:
    sys.path.insert(0, str(ROOT))
    from tests.tiny import save_tiny_chat_model

    return str(save_tiny_chat_model(folder / "tiny", context=1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="serve this one for everything")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter requests, the tiny model alone")
    parser.add_argument("--out", type=Path, default=Path("bench-serve.json"))
    options = parser.parse_args()
    clients, seconds, tokens = (20, 3.0, 16) if options.quick else (200, 20.0, 64)
    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    }
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with serving(config_of(options.model or tiny_model(home), home), home) as (url, _):
            result["polling"] = asyncio.run(polling(url, clients, seconds, jobs=min(clients, 100)))
            result["streams"] = asyncio.run(streams(url, 32, tokens))
        if not options.model and not options.quick:
            with (
                tempfile.TemporaryDirectory() as other,
                serving(config_of("smollm2-135m", Path(other)), Path(other)) as (url, _),
            ):
                result["streams_135m"] = asyncio.run(streams(url, 32, tokens))
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
