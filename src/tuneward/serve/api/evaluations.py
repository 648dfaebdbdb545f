"""`/api/jobs/{job_id}/evaluations`: how validation rows were answered, beside the answers of the base model."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.runs.evaluation_pages import Answer, Sort, compare_page, evaluated_steps
from tuneward.runs.rollout_reader import RolloutReader
from tuneward.serve.api.model import ApiModel
from tuneward.serve.api.rollout_shapes import Asked
from tuneward.serve.api.rollouts import readable, run_of
from tuneward.serve.deps import Use, Viewer

routes = APIRouter(prefix="/api/jobs/{job_id}/evaluations", tags=["console"])

MOST_STEPS = 1000
Step = Annotated[int | None, Query(ge=0, le=10**9)]


class ValidationAnswer(ApiModel):
    """What a model answered to a validation row."""

    text: str
    """The first completion."""
    reward: float | None
    """Mean over the row's samples; null when none could be scored."""
    completion_tokens: int
    finish_reason: str
    """`stop`, or `length` for a truncated one."""
    held_out: float | None = None
    """Score of the held-out grader, which nothing is trained on; null without one."""


class ValidationRow(ApiModel):
    """A validation row in two evaluations."""

    row: str
    """Its id."""
    prompt: Asked | None
    """Null when the run does not keep what it asked."""
    preview: str
    """Beginning of what is asked."""
    before: ValidationAnswer | None
    """At the step compared with; null when that evaluation does not have the row."""
    after: ValidationAnswer
    """At the step looked at."""
    gain: float | None
    """Reward after minus reward before."""


class Evaluations(ApiModel):
    """A page of validation rows, and the evaluations there are."""

    steps: list[int]
    """Steps with an evaluation, 0 the base model's; of very many, the newest."""
    step: int | None
    """The one looked at; null when there is none yet."""
    against: int | None
    """The one compared with."""
    rows: int
    """All rows that were asked for, those of other pages included."""
    better: int
    """Rows with a higher reward than before."""
    worse: int
    mean_before: float | None
    """Mean reward over the rows asked for."""
    mean_after: float | None
    data: list[ValidationRow]
    next: int | None
    """Give it as `after` for the next page; null on the last."""


@routes.get("")
def evaluations(
    job_id: str,
    principal: Viewer,
    services: Use,
    step: Annotated[Step, Query(description="The newest if absent.")] = None,
    against: Annotated[int, Query(ge=0, le=10**9, description="0 is the base model.")] = 0,
    sort: Annotated[
        Sort, Query(description="`gain`: the most gained first; `loss`: the most lost; `reward`, `lowest`: by reward.")
    ] = "line",
    search: Annotated[str | None, Query(max_length=200, description="In answers and row ids.")] = None,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="`next` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Evaluations:
    """Validation rows with their answers at a step and at another, usually the base model's."""
    run = run_of(job_id, principal, services)
    steps = evaluated_steps(run)
    if step is None and not steps:
        return Evaluations(
            steps=[], step=None, against=None, rows=0, better=0, worse=0, mean_before=None, mean_after=None, data=[],
            next=None,
        )  # fmt: skip
    chosen = steps[-1] if step is None else step
    page = readable(lambda: compare_page(run, chosen, against, sort=sort, search=search, after=after, limit=limit))
    if page is None:
        raise ObjectNotFoundError(f"This job has no evaluation at step {chosen}.", param="step")
    ids = [found["id"] for _, found in page.answers]
    asked = readable(lambda: RolloutReader(run.rollouts).prompts(ids, "validation"))
    rows = [_row(before, found, asked.get(found["id"])) for before, found in page.answers]
    return Evaluations(
        steps=steps[-MOST_STEPS:],
        step=chosen,
        against=against,
        rows=page.rows,
        better=page.better,
        worse=page.worse,
        mean_before=page.mean_before,
        mean_after=page.mean_after,
        data=rows,
        next=after + len(rows) if page.has_more else None,
    )


def _row(before: Answer | None, after: Answer, asked: dict[str, Any] | None) -> ValidationRow:
    earlier, later = before["reward"] if before else None, after["reward"]
    return ValidationRow(
        row=after["id"],
        prompt=Asked.model_validate(asked) if asked else None,
        preview=asked["preview"] if asked else "",
        before=ValidationAnswer.model_validate(before) if before else None,
        after=ValidationAnswer.model_validate(after),
        gain=None if earlier is None or later is None else later - earlier,
    )
