"""`POST /api/rewards/test`: a reward tried on a few answers, before there is a job."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from tuneward.accounts.principal import Principal
from tuneward.config import RewardConfig
from tuneward.jobs.judge_connection import connect_judges
from tuneward.jobs.problems import InvalidRequestError, LimitExceededError
from tuneward.jobs.spec import Source
from tuneward.rewards.functions import FunctionRegistry
from tuneward.rewards.functions.archive import pack_file
from tuneward.rewards.functions.source import DEFAULT_MODULE, HANDLER_FUNCTION
from tuneward.rewards.trial import Checks, try_reward
from tuneward.serve.api.function_faults import FunctionRoute
from tuneward.serve.api.model import ApiModel
from tuneward.serve.api.reward_answer import RewardTest, told
from tuneward.serve.api.reward_rows import given_rows, source_rows
from tuneward.serve.deps import Developer, Use
from tuneward.serve.job_parts.functions import check_function
from tuneward.serve.openai.job_reward import own_reward
from tuneward.serve.services import Services
from tuneward.types import Json, Row, Sample

routes = APIRouter(prefix="/api", route_class=FunctionRoute)

MOST_SAMPLES = 64
LIMIT_S = 50.0
AT_ONCE = 4
DRAFT = "draft"
"""Name of the function that code which is not saved becomes while it is tried."""

_places = threading.BoundedSemaphore(AT_ONCE)


class RewardTestRequest(ApiModel):
    """A reward, and what it is to be tried on. Rows come from `source`, or stand in `rows`."""

    model_config = ConfigDict(extra="forbid")

    reward: dict[str, Any] = Field(default_factory=dict)
    """As `reward` of a job; with `code`, without a grader."""
    code: Annotated[str, Field(max_length=1 << 20)] | None = None
    """Python source with `lambda_handler(event, context)` that is not saved as a function yet."""
    source: Source | None = None
    """Rows of the data that a job would train on; the first ones are used."""
    rows: Annotated[list[dict[str, Any]], Field(max_length=MOST_SAMPLES)] | None = None
    """Rows as lines of a JSONL file hold them."""
    row_count: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] = 8
    """Rows taken from `source`."""
    completions: (
        Annotated[
            list[Annotated[list[Annotated[str, Field(max_length=200_000)]], Field(max_length=MOST_SAMPLES)]],
            Field(max_length=MOST_SAMPLES),
        ]
        | None
    ) = None
    """Answers to be scored, a list for each row, 64 in all; null: as `answers` and `texts` say."""
    answers: Annotated[tuple[Literal["reference", "empty"], ...], Field(max_length=2)] = ("reference", "empty")
    """Scored for every row: its reference answer, where that is a text or a number, and an empty answer."""
    texts: Annotated[list[Annotated[str, Field(max_length=200_000)]], Field(max_length=8)] = Field(default_factory=list)
    """Further texts to be scored for every row."""
    checks: Checks = "quick"
    """Which checks of the bench are made beside: `quick`, those at the start of a job; `all`, as the command
    `tuneward rewards test` makes, for judges many calls; `none`."""


@routes.post("/rewards/test")
def run_test(body: RewardTestRequest, services: Use, caller: Developer) -> RewardTest:
    """Score answers with a reward, and look whether it can be trained on.

    Code runs in the sandbox, as registered functions do. A reward that fails is an answer, too: `problem`, or the
    samples' verdicts and receipts, say how.
    """
    rows = _rows(body, services, caller)
    samples = _samples(body, rows)
    if not _places.acquire(blocking=False):
        raise LimitExceededError(
            f"{AT_ONCE} tests of rewards are under way on this server; try again.", code="busy", retry_after_s=5
        )
    try:
        with _functions(body, services, caller) as functions:
            trial = try_reward(
                _reward(body, services, caller), samples, rows, checks=body.checks, functions=functions, limit_s=LIMIT_S
            )
    finally:
        _places.release()
    return told(trial, samples, rows)


def _reward(body: RewardTestRequest, services: Services, caller: Principal) -> RewardConfig:
    """Raises InvalidRequestError."""
    wanted = dict(body.reward)
    if body.code is not None:
        if "function" in wanted:
            raise InvalidRequestError("Give either code or a function, not both.", param="reward.function")
        wanted["function"] = DRAFT

    def known(name: str, param: str) -> None:
        if body.code is None or name != DRAFT:
            check_function(name, param, services, caller.project_id)

    tree = own_reward(wanted, "reward", known)
    connect_judges(tree, services.judges)
    return RewardConfig.model_validate(tree)


@contextmanager
def _functions(body: RewardTestRequest, services: Services, caller: Principal) -> Iterator[FunctionRegistry]:
    """Where the reward's functions are looked up; code of the request is the only one there. Raises as `create`."""
    if body.code is None:
        yield services.functions(caller.project_id, caller.account_id)
        return
    try:
        source = body.code.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError("The code holds half of a character; send it as UTF-8.", param="code") from None
    with tempfile.TemporaryDirectory(prefix="tuneward-draft-") as folder:
        registry = FunctionRegistry(Path(folder), region=services.config.region, account=caller.account_id)
        handler = f"{DEFAULT_MODULE.removesuffix('.py')}.{HANDLER_FUNCTION}"
        registry.create(DRAFT, pack_file(DEFAULT_MODULE, source), handler=handler)
        yield registry


def _rows(body: RewardTestRequest, services: Services, caller: Principal) -> list[Row]:
    if (body.rows is None) == (body.source is None):
        raise InvalidRequestError("Give either rows or a source of them.", param="rows", code="invalid_value")
    if body.source is not None:
        return source_rows(body.source, body.row_count, services, caller.project_id)
    rows = given_rows(body.rows or [])
    if not rows:
        raise InvalidRequestError("There are no rows; give at least one.", param="rows", code="invalid_value")
    return rows


def _samples(body: RewardTestRequest, rows: list[Row]) -> list[Sample]:
    """Raises InvalidRequestError."""
    completions = body.completions
    if completions is None:
        empty = [""] if "empty" in body.answers else []
        wants_reference = "reference" in body.answers
        completions = [
            [*(_reference(row.reference_answer) if wants_reference else ()), *empty, *body.texts] for row in rows
        ]
    if len(completions) > len(rows):
        message = f"There are {len(completions)} lists of completions for {len(rows)} rows."
        raise InvalidRequestError(message, param="completions", code="invalid_value")
    samples = [
        Sample(f"{place}/{number}", row, completion)
        for place, (row, answers) in enumerate(zip(rows, completions, strict=False))
        for number, completion in enumerate(answers)
    ]
    if len(samples) > MOST_SAMPLES:
        message = f"{len(samples)} completions; at most {MOST_SAMPLES} are tried at once."
        raise InvalidRequestError(message, param="completions", code="invalid_value")
    return samples


def _reference(answer: Json) -> list[str]:
    """A reference answer as an answer, where it is one; criteria and objects are none."""
    return [answer] if isinstance(answer, str) else [str(answer)] if isinstance(answer, int | float) else []
