"""Rows for the playground: those of a job to ask with, its grader for the answers, and a place for new ones."""

from __future__ import annotations

import threading
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field

from tuneward.data.problems import Findings, Severity
from tuneward.data.schema import parse_row
from tuneward.errors import GraderError
from tuneward.jobs.added_rows import add_row
from tuneward.jobs.grading import grade, grader_of
from tuneward.jobs.job_rows import rows_page
from tuneward.jobs.problems import InvalidRequestError, LimitExceededError
from tuneward.jobs.spec import JobSpec
from tuneward.serve.api.model import ApiModel
from tuneward.serve.api.scores import ScoreCard, score_card
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.types import Json, Row

routes = APIRouter(prefix="/api", tags=["console"])

GRADINGS = 4
"""Under way at the same time; each may run code, or ask a judge."""
LONGEST_COMPLETION = 1_000_000
"""Characters."""

_room = threading.BoundedSemaphore(GRADINGS)


class RowCard(ApiModel):
    """A row as a prompt, with the answer that is expected."""

    id: str
    line: int
    """Of the file that the job read; 1 is the first."""
    messages: list[dict[str, Json]]
    """The prompt. Of conversations, whatever comes before the last answer."""
    reference_answer: Json
    """Null when the row has none; of conversations their last answer."""
    tools: list[dict[str, Json]]
    metadata: dict[str, Json]


class RowCards(ApiModel):
    """Part of a set, in the order of the file."""

    data: list[RowCard]
    next: int | None
    """`after` of the next page; null on the last one."""


class GradeRequest(ApiModel):
    """Answers to be graded."""

    model_config = ConfigDict(extra="forbid")

    job_id: str
    """Whose grader."""
    row: dict[str, Json]
    """What was asked, as it would stand in a file: `messages`, and what the grader needs beside them."""
    completions: Annotated[
        list[Annotated[str, Field(max_length=LONGEST_COMPLETION)]], Field(min_length=1, max_length=8)
    ]


class Grades(ApiModel):
    """What the grader gave."""

    grader: str
    """Name and content hash."""
    data: list[ScoreCard]
    """In the order of the completions."""


class NewRow(ApiModel):
    """A row to be kept."""

    model_config = ConfigDict(extra="forbid")

    row: dict[str, Json]
    """As it would stand in a file."""
    file_id: str | None = None
    """A file whose rows come before it; null: it stands alone."""
    filename: Annotated[str, Field(max_length=255)] | None = None
    """Of the new file, ending in `.jsonl`; null: that of the former one."""


class RowProblem(ApiModel):
    """Something that training would warn of."""

    field: str
    message: str
    fix: str


class RowFile(ApiModel):
    """The file that has the row at its end."""

    id: str
    filename: str
    bytes: int
    rows: int
    created_at: float
    is_new: bool
    """False: the same request has made it before."""
    problems: list[RowProblem]


@routes.get("/jobs/{job_id}/rows")
def list_rows(
    job_id: str,
    caller: Viewer,
    services: Use,
    split: Literal["training", "validation"] = "validation",
    after: Annotated[int, Query(ge=0, lt=2**31, description="`next` of the page before.")] = 0,
    search: Annotated[str | None, Query(max_length=200, description="Part of a message or a reference answer.")] = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> RowCards:
    """Rows that a job trains on, or is measured on."""
    job = services.jobs.get(caller.project_id, job_id)
    page = rows_page(job, services.home, split, after_line=after, search=search, limit=limit)
    return RowCards(data=[_card(row) for row in page.rows], next=page.next_line)


@routes.post("/grade")
def grade_answers(body: GradeRequest, caller: Developer, services: Use) -> Grades:
    """Grade answers with the grader of a job, in its sandbox and under its limits."""
    job = services.jobs.get(caller.project_id, body.job_id)
    row = _parsed(body.row)
    functions = services.functions(caller.project_id, caller.account_id)
    if not _room.acquire(blocking=False):
        raise LimitExceededError(f"{GRADINGS} gradings are under way; try again in a moment.", retry_after_s=2.0)
    try:
        with grader_of(JobSpec.model_validate(job.spec), functions, services.judges) as grader:
            return Grades(grader=grader.name, data=[score_card(one) for one in grade(grader, row, body.completions)])
    except GraderError as error:
        raise InvalidRequestError(str(error), param="job_id", code="grader_unavailable") from None
    finally:
        _room.release()


@routes.post("/rows")
def save_row(body: NewRow, caller: Developer, services: Use) -> RowFile:
    """Keep a row for training. Files do not change, so the answer is a new file: the former rows and this one.

    The same request again gives the same file.
    """
    added = add_row(services.files, caller.project_id, body.row, file_id=body.file_id, filename=body.filename)
    file = added.file
    return RowFile(
        id=file.id,
        filename=file.filename,
        bytes=file.bytes,
        rows=added.rows,
        created_at=file.created_at,
        is_new=added.is_new,
        problems=[RowProblem(field=one.field, message=one.message, fix=one.fix) for one in added.problems],
    )


def _card(row: Row) -> RowCard:
    messages, reference = [dict(message) for message in row.messages], row.reference_answer
    if messages[-1]["role"] == "assistant" and reference is None:
        reference = messages.pop()["content"]
    return RowCard(
        id=row.id,
        line=row.line,
        messages=messages,
        reference_answer=reference,
        tools=[dict(tool) for tool in row.tools],
        metadata=dict(row.metadata),
    )


def _parsed(data: dict[str, Json]) -> Row:
    """Raises InvalidRequestError for a row that training would refuse."""
    findings = Findings("row", 0)
    row = parse_row(data, findings)
    problem = next((one for one in findings.problems() if one.severity is Severity.ERROR), None)
    if row is None or problem is not None:
        message = f"{problem.message} {problem.fix}".strip() if problem else "It is no row."
        raise InvalidRequestError(message, param="row", code="invalid_row")
    return row
