"""Served tokens per second: requests one after another, and all at once.

.venv/bin/python benchmarks/serving.py [MODEL] [--requests 32] [--tokens 64]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import openai
from fastapi import FastAPI

from tuneward.config import ServerConfig
from tuneward.serve.app import create_app
from tuneward.serve.auth import fixed_key
from tuneward.serve.build import build_services
from tuneward.serve.catalog import FixedCatalog
from tuneward.serve.load import load_catalog
from tuneward.serve.server import Server, bind

QUESTION = "Write a short story about a lighthouse keeper, number {}."


async def measure(url: str, model: str, requests: int, tokens: int, *, at_once: int) -> dict[str, Any]:
    """Ask everything with so many requests under way; answers that end early count with what they have."""
    room = asyncio.Semaphore(at_once)
    firsts: list[float] = []

    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:

        async def ask(number: int) -> int:
            async with room:
                began, usage = time.perf_counter(), None
                stream = await client.chat.completions.create(
                    model=model,
                    messages=[{"role": "user", "content": QUESTION.format(number)}],
                    max_tokens=tokens,
                    seed=number,
                    stream=True,
                    stream_options={"include_usage": True},
                )
                async for chunk in stream:
                    if chunk.choices and chunk.choices[0].delta.content and usage is None:
                        firsts.append(time.perf_counter() - began)
                        usage = 0
                    usage = chunk.usage.completion_tokens if chunk.usage else usage
                return usage or 0

        start, cpu = time.perf_counter(), time.process_time()
        counts = await asyncio.gather(*(ask(number) for number in range(requests)))
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "at_once": at_once,
        "requests": requests,
        "tokens": sum(counts),
        "seconds": round(seconds, 2),
        "tokens_per_s": round(sum(counts) / seconds, 1),
        "tokens_per_cpu_s": round(sum(counts) / cpu, 1),
        "median_first_token_s": round(sorted(firsts)[len(firsts) // 2], 2),
    }


def app(home: Path, catalog: FixedCatalog) -> FastAPI:
    return create_app(build_services(ServerConfig(home=home), catalog, fixed_key(None)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    catalog = load_catalog([options.model], [], threads=options.threads)
    with tempfile.TemporaryDirectory() as home, Server(app(Path(home), catalog), bind("127.0.0.1", 0)) as server:
        asyncio.run(measure(server.url, options.model, 1, 4, at_once=1))  # weights are packed at first use
        few = max(2, options.requests // 8)
        alone = asyncio.run(measure(server.url, options.model, few, options.tokens, at_once=1))
        together = asyncio.run(measure(server.url, options.model, options.requests, options.tokens, at_once=32))
    ratios = {name: round(together[name] / alone[name], 2) for name in ("tokens_per_s", "tokens_per_cpu_s")}
    print(json.dumps({"one_at_a_time": alone, "together": together, "ratio": ratios}, indent=2))


if __name__ == "__main__":
    main()
