"""`POST /api/preflight`: what the model to be tuned earns before it is trained, and whether the reward is sound."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from tuneward.accounts.principal import Principal
from tuneward.config import Config, parse_config
from tuneward.errors import GraderError
from tuneward.jobs.judge_connection import connect_judges
from tuneward.jobs.problems import InvalidRequestError, LimitExceededError
from tuneward.jobs.response_format import asked_in_form
from tuneward.jobs.spec import JobSpec
from tuneward.rewards.bench import BenchReport, bounds_of, nature_of, quick_bench
from tuneward.runs.first_look import Answered, look_at
from tuneward.serve.api.job_request import NewJobRequest, spec_of
from tuneward.serve.api.preflight_answer import PreflightProgress, result_of
from tuneward.serve.api.reward_rows import source_rows
from tuneward.serve.deps import Developer, Use
from tuneward.serve.errors import as_api_error
from tuneward.serve.job_parts.first_answers import TooLong, answer, opened_grader
from tuneward.serve.services import Services
from tuneward.types import Grader, Row

routes = APIRouter(prefix="/api", tags=["console"])

AT_ONCE = 2
"""On one server: each keeps the inference busy."""
LIMIT_S = 1800.0
ALIVE_S = 15

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}

_places = asyncio.Semaphore(AT_ONCE)


class PreflightRequest(NewJobRequest):
    """A job request, and how much to try."""

    prompts: Annotated[int, Field(ge=1, le=64)] = 16
    """Training rows whose prompts are answered, the first ones; fewer where there are not as many."""
    samples: Annotated[int, Field(ge=2, le=8)] = 4
    """Completions of each."""


@routes.post("/preflight", response_class=Response, responses=STREAM)
async def preflight(body: PreflightRequest, principal: Developer, services: Use) -> Response:
    """Have the model that would be tuned answer some prompts, score the answers, and test the reward.

    Events: `progress` (`phase`, `prompts`, `answered`, `reward_mean`) as it goes on; at the end `result` (`verdict`,
    `headline`, `advice`, the numbers, `histogram`, `examples`, `failures`, and `report` of the reward's checks) or
    `error` (as errors of other routes). Hanging up ends it. Nothing is stored.
    """
    if body.method == "supervised":
        message = "There is nothing to try before supervised training: its answers are given."
        raise InvalidRequestError(message, param="method", code="invalid_value")
    spec = await run_in_threadpool(spec_of, body, services, principal.project_id)
    if _places.locked():
        raise LimitExceededError(
            f"{AT_ONCE} pre-flights are under way on this server; try again when one has ended.",
            code="busy",
            retry_after_s=10,
        )
    return EventSourceResponse(
        _events(body, spec, principal, services),
        ping=ALIVE_S,
        ping_message_factory=lambda: ServerSentEvent("{}", event="alive"),
        sep="\n",
    )


async def _events(
    body: PreflightRequest, spec: JobSpec, principal: Principal, services: Services
) -> AsyncIterator[ServerSentEvent]:
    try:
        async with (
            _places,
            asyncio.timeout(LIMIT_S),
            aclosing(_Preflight(body, spec, principal, services).events()) as events,
        ):
            async for name, data in events:
                yield ServerSentEvent(data.model_dump_json(), event=name)
    except TimeoutError:
        failure = InvalidRequestError(
            f"The pre-flight took longer than {LIMIT_S / 60:.0f} minutes; try fewer prompts, or shorter completions.",
            param="prompts",
        )
        yield _failed(failure)
    except Exception as error:  # the response has begun: whatever it is can only be said in it
        yield _failed(error)


def _failed(error: Exception) -> ServerSentEvent:
    if isinstance(error, GraderError):
        error = InvalidRequestError(str(error), param="config.reward", code="invalid_grader")
    return ServerSentEvent(json.dumps(as_api_error(error).body()), event="error")


class _Preflight:
    """One of them."""

    def __init__(self, body: PreflightRequest, spec: JobSpec, principal: Principal, services: Services):
        self._body, self._spec, self._principal, self._services = body, spec, principal, services
        self._answers: dict[str, Answered] = {}
        self._prompts = body.prompts
        self._too_long = 0

    async def events(self) -> AsyncGenerator[tuple[str, BaseModel]]:
        body, services, project_id = self._body, self._services, self._principal.project_id
        yield self._progress("rows")
        found_rows = await run_in_threadpool(source_rows, body.training, body.prompts, services, project_id)
        rows = [asked_in_form(row, self._spec.response_format) for row in found_rows]
        self._prompts = len(rows)
        config = self._config()
        async with AsyncExitStack() as stack:
            yield self._progress("reward")
            functions = services.functions(project_id, self._principal.account_id)
            grader = await stack.enter_async_context(opened_grader(config.reward, functions))
            yield self._progress("model")
            model = await stack.enter_async_context(services.catalog.use(self._principal, body.model))
            yield self._progress("answers")
            began = time.monotonic()
            timeout_s = services.config.serving.request_timeout_s
            found = answer(rows, model, grader, config, samples=body.samples, timeout_s=timeout_s)
            async with aclosing(found) as answers:
                async for one in answers:
                    self._take(one)
                    yield self._progress("answers")
            sampling_s = time.monotonic() - began
            if not self._answers:
                limit = config.data.max_prompt_length
                message = (
                    f"Every one of {len(rows)} prompts is longer than {limit} tokens; raise data.max_prompt_length."
                )
                raise InvalidRequestError(message, param="config.data.max_prompt_length", code="invalid_value")
            yield self._progress("checks")
            # Whoever hangs up does not wait for it: the grader is closed under it.
            report = await to_thread.run_sync(_check, grader, rows, config, abandon_on_cancel=True)
        in_order = [self._answers[row.id] for row in rows if row.id in self._answers]
        look = look_at(
            in_order,
            exact_threshold=config.evaluation.exact_threshold,
            error_budget=config.reward.error_budget,
        )
        yield (
            "result",
            result_of(
                in_order,
                look,
                report,
                too_long=self._too_long,
                sampling_s=sampling_s,
                does_check=config.reward.check,
            ),
        )

    def _config(self) -> Config:
        tree = {**self._spec.config, "data": {**self._spec.config["data"], "train": "train.jsonl"}}
        tree["reward"] = dict(tree["reward"])
        connect_judges(tree["reward"], self._services.judges)
        return parse_config(tree)

    def _take(self, one: Answered | TooLong) -> None:
        if isinstance(one, TooLong):
            self._too_long += 1
        else:
            self._answers[one.row.id] = one

    def _progress(self, phase: Any) -> tuple[str, PreflightProgress]:
        rewards = [reward for one in self._answers.values() for reward in one.rewards]
        mean = sum(rewards) / len(rewards) if rewards else None
        answered = len(self._answers) + self._too_long
        return "progress", PreflightProgress(phase=phase, prompts=self._prompts, answered=answered, reward_mean=mean)


def _check(grader: Grader, rows: list[Row], config: Config) -> BenchReport:
    """The checks that are made at the start of a job."""
    return quick_bench(grader, rows, nature=nature_of(config.reward), bounds=bounds_of(config.reward))
