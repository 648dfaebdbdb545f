"""`/v1/fine_tuning/alpha/graders/validate` and `/run`. Source: OpenAI grader contract, 5.11 and 5.12."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from tuneward.errors import GraderError
from tuneward.rewards.openai import InvalidGraderError, run_grader, validate_grader
from tuneward.serve.deps import Developer, Use
from tuneward.serve.errors import ApiError
from tuneward.types import Json

routes = APIRouter(prefix="/fine_tuning/alpha/graders")


@routes.post("/validate")
async def validate(body: dict[str, Json], _principal: Developer) -> Json:
    return await _answer(lambda: validate_grader(body))


@routes.post("/run")
async def run(body: dict[str, Json], _principal: Developer, services: Use) -> Json:
    return await _answer(lambda: run_grader(body, connection=services.judges))


async def _answer(work: Callable[[], Json]) -> Json:
    """What the work gives. Raises ApiError 400 for a request or a grader that cannot be used."""
    try:
        return await run_in_threadpool(work)
    except InvalidGraderError as error:
        raise ApiError(400, str(error), param=error.param, code=error.code) from None
    except GraderError as error:
        raise ApiError(400, str(error), param="grader", code="grader_unavailable") from None
