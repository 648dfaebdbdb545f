"""`GET /api/jobs`: the project's jobs in a few numbers each, made to be searched and looked at all the time."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from tuneward.accounts.principal import Principal
from tuneward.jobs.card_search import CardQuery, count_states, find_cards, models_of
from tuneward.jobs.cards import JobCard
from tuneward.serve.api.cursors import LONGEST, cursor_of, mark_of
from tuneward.serve.api.model import ApiModel
from tuneward.serve.deps import Use, Viewer
from tuneward.serve.services import Services
from tuneward.store.tables import JobState

routes = APIRouter(prefix="/api")


class JobOverview(ApiModel):
    """What there is to choose from."""

    states: dict[JobState, int]
    """How many jobs in each state the search finds, whichever states were asked for; states without any are absent."""
    models: list[str]
    """Models that jobs of the project name; at most 100."""


class JobPage(ApiModel):
    """Part of the list, newest first."""

    data: list[JobCard]
    next: str | None
    """`after` of the next page; null on the last one."""
    overview: JobOverview | None
    """On the first page only."""


@routes.get("/jobs")
def list_jobs(
    caller: Viewer,
    services: Use,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    after: Annotated[str | None, Query(max_length=LONGEST, description="`next` of the page before.")] = None,
    state: Annotated[list[JobState] | None, Query(description="Any of these.", max_length=10)] = None,
    search: Annotated[
        str | None,
        Query(max_length=200, description="Part of a name, a model or a value of the metadata, or a job's id."),
    ] = None,
    model: Annotated[str | None, Query(max_length=500, description="As the job names it.")] = None,
    method: Literal["reinforcement", "supervised"] | None = None,
) -> JobPage:
    """A page of the project's jobs."""
    query = CardQuery(limit, mark_of(after), frozenset(state or ()), search, model, method)
    page = find_cards(services.database, caller.project_id, query)
    return JobPage(data=page.cards, next=cursor_of(page.next), overview=_overview(services, caller, query))


def _overview(services: Services, caller: Principal, query: CardQuery) -> JobOverview | None:
    if query.after is not None:
        return None
    states = count_states(services.database, caller.project_id, query)
    return JobOverview(states=states, models=models_of(services.database, caller.project_id))
