"""`/api/data`: a look at rows before there is a job, wherever they lie."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field

from tuneward.accounts.principal import Principal
from tuneward.config import DataConfig, SupervisedDataConfig
from tuneward.data.inspection import inspect_rows
from tuneward.data.log_lines import LogReport
from tuneward.data.log_metadata import read_log_metadata
from tuneward.data.row_kinds import CONVERSATIONS, PROMPTS
from tuneward.errors import DataError
from tuneward.jobs.problems import InvalidRequestError
from tuneward.jobs.source_rows import SourceRows, rows_at_hand
from tuneward.jobs.spec import LogsSource, Source
from tuneward.serve.api.data_answers import answer, log_counts
from tuneward.serve.api.data_shapes import Inspected, LogCounts
from tuneward.serve.api.interruptible import Check, while_wanted
from tuneward.serve.api.model import ApiModel
from tuneward.serve.api.token_counts import token_counter
from tuneward.serve.deps import Developer, Use
from tuneward.serve.services import Services

routes = APIRouter(prefix="/api", tags=["console"])

MAX_RECORDS = 50_000
"""Logged calls that are looked at, and `MAX_SECONDS` of looking: a job reads as many as there are."""
MAX_SECONDS = 30.0
_TURNS = threading.BoundedSemaphore(2)
"""Looks at the same time: each takes a processor, and answers of models need it too."""


class InspectRequest(ApiModel):
    """Rows to look at."""

    model_config = ConfigDict(extra="forbid")

    source: Source
    """Of the training rows."""
    validation: Source | None = None
    """Null: a share of the training rows is held out."""
    method: Literal["reinforcement", "supervised"] = "reinforcement"
    model: str | None = None
    """Base or tuned model whose tokens count; null: lengths are not counted."""
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Longer rows are dropped: `data.max_prompt_length`, or `data.max_row_tokens`; null: the default."""
    holdout_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    seed: Annotated[int, Field(ge=0, le=2147483647)] = 0
    """Of the choice of rows that are held out."""
    limit: Annotated[int, Field(ge=0, le=100)] = 20
    """Rows to show at most."""


class LogKeysRequest(ApiModel):
    """Logged calls to look at."""

    model_config = ConfigDict(extra="forbid")

    source: LogsSource


class ValueCount(ApiModel):
    """A value, and how many calls have it."""

    value: str
    calls: int


class KeyCount(ApiModel):
    """A metadata key, and how many calls have it."""

    key: str
    calls: int
    values: list[ValueCount]
    """The commonest, at most 50."""
    has_more: bool
    """There are more different values than those."""


class LogKeys(ApiModel):
    """What filters can be made of."""

    calls: int
    """Logged calls of models."""
    matching: int
    """Those that the source's filters keep."""
    keys: list[KeyCount]
    """The commonest first; at most 50."""
    logs: LogCounts


@routes.post("/data/inspect")
async def inspect_data(body: InspectRequest, request: Request, principal: Developer, services: Use) -> Inspected:
    """Check the rows of a source: counts, problems by line, repeated prompts, lengths in tokens, the first rows.

    Ends early when the client hangs up.
    """
    return await while_wanted(request, lambda check: _inspect(body, principal, services, check))


@routes.post("/data/logs/keys")
async def log_keys(body: LogKeysRequest, request: Request, _principal: Developer, services: Use) -> LogKeys:
    """Which metadata keys and values the logged calls under a prefix have, and how many calls the filters keep.

    Looks at no more than 50,000 calls; ends early when the client hangs up.
    """
    return await while_wanted(request, lambda check: _keys(body.source, services, check))


def _inspect(body: InspectRequest, principal: Principal, services: Services, check: Check) -> Inspected:
    kind = PROMPTS if body.method == "reinforcement" else CONVERSATIONS
    default = DataConfig.model_fields["max_prompt_length"].default
    if kind is CONVERSATIONS:
        default = SupervisedDataConfig.model_fields["max_row_tokens"].default
    count_tokens, note = None, None
    if body.model is not None:
        count_tokens, note = token_counter(services, principal.project_id, body.model, kind)
    with _turn(check), ExitStack() as stack:

        def bring(source: Source, name: str, param: str) -> SourceRows:
            try:
                return stack.enter_context(
                    rows_at_hand(
                        source,
                        name,
                        project_id=principal.project_id,
                        files=services.files,
                        objects=services.objects,
                        supervised=kind is CONVERSATIONS,
                        largest_bytes=services.config.limits.upload_bytes,
                        stop=_enough(check),
                        check=check,
                    )
                )
            except DataError as error:
                raise InvalidRequestError(str(error), param=param, code="invalid_source") from None

        train = bring(body.source, "training", "source")
        validation = None if body.validation is None else bring(body.validation, "validation", "validation")
        found = inspect_rows(
            train.path,
            None if validation is None else validation.path,
            kind=kind,
            count_tokens=count_tokens,
            max_tokens=body.max_tokens or default,
            holdout_share=body.holdout_share,
            seed=body.seed,
            first=body.limit,
            check=check,
        )
        return answer(found, train, validation, note)


def _keys(source: LogsSource, services: Services, check: Check) -> LogKeys:
    with _turn(check):
        try:
            found = read_log_metadata(services.objects, source.uri, source.filters, _enough(check))
        except DataError as error:
            raise InvalidRequestError(str(error), param="source.uri", code="invalid_source") from None
    keys = []
    for key, counted in sorted(found.keys.items(), key=lambda item: (-item[1].calls, item[0])):
        common = counted.most_common()
        values = [ValueCount(value=value, calls=calls) for value, calls in common]
        has_more = counted.has_more or len(common) < len(counted.values)
        keys.append(KeyCount(key=key, calls=counted.calls, values=values, has_more=has_more))
    logs = log_counts(found.report)
    assert logs is not None
    return LogKeys(calls=found.calls, matching=found.matching, keys=keys, logs=logs)


def _enough(check: Check) -> Callable[[LogReport], bool]:
    until = time.monotonic() + MAX_SECONDS

    def stop(report: LogReport) -> bool:
        check()
        return report.records >= MAX_RECORDS or time.monotonic() > until

    return stop


@contextmanager
def _turn(check: Check) -> Iterator[None]:
    while not _TURNS.acquire(timeout=0.2):
        check()
    try:
        yield
    finally:
        _TURNS.release()
