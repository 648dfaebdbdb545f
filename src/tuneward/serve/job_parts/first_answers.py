"""A model's answers to the first prompts of a job, scored as they come: sampled by the server's own inference."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from anyio import CancelScope, CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool

from tuneward.config import Config, RewardConfig
from tuneward.engine.serving.request import ChoiceEnd, Delta, RequestTooLongError, ServingRequest
from tuneward.rewards import build_reward
from tuneward.rewards.functions import FunctionRegistry
from tuneward.runs.first_look import Answered
from tuneward.serve.catalog import ServedModel
from tuneward.serve.inference import Chat, opened, to_engine
from tuneward.types import FinishReason, Grader, Row, Sample

GRADING_THREADS = 4
MOST_TOGETHER = 16
"""Prompts answered at the same time, at most."""
ROOM = 8
"""Rows of the engine that are left to others, of those that it computes together."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """A prompt that a job would leave out."""

    row: Row


@asynccontextmanager
async def opened_grader(config: RewardConfig, functions: FunctionRegistry) -> AsyncIterator[Grader]:
    """The grader of a reward, built and closed in threads. Raises GraderError."""
    grader = await run_in_threadpool(build_reward, config, functions)
    try:
        yield grader
    finally:
        # Also when nobody waits any more: its processes end with it.
        with CancelScope(shield=True):
            await run_in_threadpool(grader.close)


async def answer(
    rows: Sequence[Row], model: ServedModel, grader: Grader, config: Config, *, samples: int, timeout_s: float
) -> AsyncGenerator[Answered | TooLong]:
    """Answers to prompts as they are ready, in any order.

    Args:
        rows: with the prompts.
        model: answers.
        grader: scores.
        config: of the job: lengths, temperature, seed.
        samples: completions of each prompt.
        timeout_s: wall-clock limit of one prompt's answers.

    Raises:
        EngineError, GraderError, ServiceError: what a prompt or its scoring fails with; the others are given up.
    """
    together = max(1, min(MOST_TOGETHER, (model.engine.limits.max_rows - ROOM) // samples))
    places = asyncio.Semaphore(together)
    threads = CapacityLimiter(GRADING_THREADS)

    async def one(number: int, row: Row) -> Answered | TooLong:
        async with places:
            begun = time.monotonic()
            settings = ServingRequest(
                prompt=(),
                max_tokens=config.training.max_completion_tokens,
                temperature=config.training.temperature,
                seed=config.run.seed + number,
                n=samples,
            )
            chat = Chat([dict(message) for message in row.messages], settings, tuple(map(dict, row.tools)))
            wanted = await run_in_threadpool(to_engine, chat, model)
            if len(wanted.prompt) > config.data.max_prompt_length:
                return TooLong(row)
            texts, truncated = [""] * samples, [False] * samples
            try:
                async with opened(model.engine, wanted, timeout_s=timeout_s) as events:
                    async for event in events:
                        if isinstance(event, Delta):
                            texts[event.choice] += event.text
                        elif isinstance(event, ChoiceEnd):
                            truncated[event.choice] = event.finish_reason is FinishReason.LENGTH
            except RequestTooLongError:
                return TooLong(row)
            seconds = time.monotonic() - begun
        asked = [Sample(f"0/{number}/{index}", row, text) for index, text in enumerate(texts)]
        scores = await to_thread.run_sync(grader.score, asked, limiter=threads, abandon_on_cancel=True)
        return Answered(row, tuple(texts), tuple(truncated), tuple(scores), seconds)

    tasks = [asyncio.ensure_future(one(number, row)) for number, row in enumerate(rows)]
    try:
        for task in asyncio.as_completed(tasks):
            yield await task
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
