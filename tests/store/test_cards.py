"""The list of jobs: what a card tells, what a search finds, and how little is read for it."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from tests.some_jobs import MINE, NEW, OTHER
from tests.store.job_rows import CREATED_AT, add_jobs, job_row

from tuneward.jobs.card_search import CardQuery, count_states, find_cards, models_of
from tuneward.jobs.cards import JobCard
from tuneward.jobs.service import JobService
from tuneward.store.database import Database

pytestmark = pytest.mark.usefixtures("jobs")

PROGRESS = {
    "step": 12,
    "total_steps": 40,
    "estimated_finish": 1_700_000_900.0,
    "train": {"reward_mean": 0.5},
    "trend": {"every": 1, "values": [0.25, None, 0.5]},
    "validations": {"base": 0.125, "best": 0.75, "best_step": 10},
}


def cards(database: Database, **query: object) -> list[JobCard]:
    return find_cards(database, MINE.project_id, CardQuery(**query)).cards  # type: ignore[arg-type]


def names(database: Database, **query: object) -> list[str]:
    return [card.name for card in cards(database, **query)]


def test_a_card_tells_where_a_job_stands(database: Database) -> None:
    add_jobs(database, job_row(1, state="running", progress=PROGRESS, model="ft:tiny:x", started_at=CREATED_AT + 5))
    (card,) = cards(database)
    assert card.model_dump() == {
        "id": "ftjob-job000000001",
        "name": "job 1",
        "state": "running",
        "method": "reinforcement",
        "model": "ft:tiny:x",
        "base_model": "tiny",
        "dialect": "openai",
        "created_at": CREATED_AT + 1,
        "started_at": CREATED_AT + 5,
        "finished_at": None,
        "updated_at": CREATED_AT + 1,
        "step": 12,
        "total_steps": 40,
        "estimated_finish": 1_700_000_900.0,
        "metric": "reward",
        "newest": 0.5,
        "validation": {"base": 0.125, "best": 0.75, "best_step": 10},
        "trend": {"every": 1, "values": [0.25, None, 0.5]},
        "error": None,
    }


def test_a_job_that_has_just_been_created_has_a_card(database: Database, jobs: JobService) -> None:
    jobs.create(MINE, NEW)
    (card,) = cards(database)
    assert (card.state, card.step, card.newest, card.trend.values) == ("validating", None, None, [])


def test_a_supervised_job_is_told_by_its_loss(database: Database) -> None:
    add_jobs(database, job_row(1, spec={"method": "supervised"}, progress={"train": {"loss": 1.5}}))
    (card,) = cards(database)
    assert (card.method, card.metric, card.newest) == ("supervised", "loss", 1.5)


def test_only_the_first_line_of_an_error_is_told_and_no_estimate_of_what_has_ended(database: Database) -> None:
    error = {"code": "grader_failed", "message": "row 17: no answer\nTraceback\n  …", "param": None}
    add_jobs(database, job_row(1, state="failed", error=error, progress=PROGRESS))
    add_jobs(database, job_row(2, state="failed", error={"code": "died", "message": "x" * 5000, "param": None}))
    longest, first = cards(database)
    assert (first.error, first.estimated_finish) == ("row 17: no answer", None)
    assert longest.error is not None
    assert len(longest.error) == 300


def test_pages_follow_each_other_without_gap_or_repeat(database: Database) -> None:
    # Some were created at the very same time.
    add_jobs(database, *(job_row(number, created_at=CREATED_AT + number // 3) for number in range(25)))
    found, mark = [], None
    while True:
        page = find_cards(database, MINE.project_id, CardQuery(limit=7, after=mark))
        assert len(page.cards) <= 7
        found += [card.name for card in page.cards]
        mark = page.next
        if mark is None:
            break
    assert found == [f"job {number}" for number in reversed(range(25))]


def test_another_project_has_none_of_them(database: Database) -> None:
    add_jobs(database, job_row(1))
    assert find_cards(database, OTHER.project_id, CardQuery()).cards == []
    assert count_states(database, OTHER.project_id, CardQuery()) == {}
    assert models_of(database, OTHER.project_id) == []


def add_various(database: Database) -> None:
    add_jobs(
        database,
        job_row(1, name="Date parser", model="smollm2-135m", state="failed"),
        job_row(2, name="sums 100%_safe", user_metadata={"team": "Billing", "color": 'a "quoted" \\ ü'}),
        job_row(3, name="sql", model="qwen3", spec={"method": "supervised"}, state="running"),
        job_row(4, name="other sql", model="qwen3", state="queued", user_metadata={}),
    )


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("DATE", ["Date parser"]),
        ("smollm2", ["Date parser"]),
        ("billing", ["sums 100%_safe"]),
        ("team", []),  # a key of the metadata, not a value
        ('"quoted" \\', ["sums 100%_safe"]),
        ("ü", ["sums 100%_safe"]),
        ("%", ["sums 100%_safe"]),
        ("_s", ["sums 100%_safe"]),
        ("sql", ["other sql", "sql"]),
        ("ftjob-job000000003", ["sql"]),
        ("job000000003", ["sql"]),
        ("no such thing", []),
    ],
)
def test_a_search_looks_into_names_models_values_and_ids(database: Database, search: str, found: list[str]) -> None:
    add_various(database)
    assert names(database, search=search) == found
    assert sum(count_states(database, MINE.project_id, CardQuery(search=search)).values()) == len(found)


def test_filters_narrow_the_list_together(database: Database) -> None:
    add_various(database)
    assert names(database, model="qwen3") == ["other sql", "sql"]
    assert names(database, method="supervised") == ["sql"]
    assert names(database, method="reinforcement", model="qwen3") == ["other sql"]
    assert names(database, states=frozenset({"failed", "queued"})) == ["other sql", "Date parser"]
    assert names(database, states=frozenset({"failed"}), model="qwen3") == []


def test_counts_are_of_all_states_that_the_rest_of_the_query_finds(database: Database) -> None:
    add_various(database)
    every = {"failed": 1, "succeeded": 1, "running": 1, "queued": 1}
    assert count_states(database, MINE.project_id, CardQuery(states=frozenset({"failed"}))) == every
    assert count_states(database, MINE.project_id, CardQuery(model="qwen3")) == {"running": 1, "queued": 1}
    assert models_of(database, MINE.project_id) == ["qwen3", "smollm2-135m", "tiny"]


@pytest.mark.parametrize("state", [None, "failed"])
def test_no_page_of_many_jobs_is_found_by_sorting_them_all(database: Database, state: str | None) -> None:
    add_jobs(database, *(job_row(number, state="failed" if number % 50 else "running") for number in range(2000)))
    if not database.is_sqlite:
        database.write(lambda session: session.execute(text("ANALYZE jobs")))
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    chosen = f"project_id = '{MINE.project_id}'" + (f" AND state = '{state}'" if state else "")
    query = f"{explain} SELECT id, progress FROM jobs WHERE {chosen} ORDER BY created_at DESC, id DESC LIMIT 51"
    plan = database.read(lambda session: "\n".join(str(row) for row in session.execute(text(query))))
    assert "ix_jobs_project_id" in plan, plan
    assert "Sort" not in plan, plan
    assert "TEMP B-TREE" not in plan, plan
