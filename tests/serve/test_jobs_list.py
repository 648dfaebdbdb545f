"""`GET /api/jobs`: what the list of the console asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.service import app_with
from tests.store.job_rows import add_jobs, job_row

from tuneward.accounts.principal import DEFAULT_PROJECT


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    app = app_with(tmp_path_factory.mktemp("home"))
    states = ("running", "failed", "failed", "succeeded", "succeeded")
    mine = {"project_id": DEFAULT_PROJECT}
    rows = [job_row(number, state=state, **mine) for number, state in enumerate(states)]
    error = {"code": "process_died", "message": "It died.\nMore.", "param": None}
    rows[1] |= {"model": "qwen3", "error": error, "user_metadata": {"team": "billing"}}
    add_jobs(app.state.services.database, *rows)
    with TestClient(app) as made:
        yield made


def names(page: dict[str, Any]) -> list[str]:
    return [card["name"] for card in page["data"]]


def test_the_first_page_says_what_there_is_to_choose_from(client: TestClient) -> None:
    first = client.get("/api/jobs", params={"limit": 3}).json()
    assert names(first) == ["job 4", "job 3", "job 2"]
    assert first["overview"] == {"states": {"running": 1, "failed": 2, "succeeded": 2}, "models": ["qwen3", "tiny"]}
    second = client.get("/api/jobs", params={"limit": 3, "after": first["next"]}).json()
    assert (names(second), second["next"], second["overview"]) == (["job 1", "job 0"], None, None)


def test_filters_are_taken_from_the_address(client: TestClient) -> None:
    found = client.get("/api/jobs?state=failed&state=running&search=BILL&model=qwen3&method=reinforcement").json()
    assert names(found) == ["job 1"]
    assert found["overview"]["states"] == {"failed": 1}
    assert found["data"][0]["error"] == "It died."
    assert names(client.get("/api/jobs?method=supervised").json()) == []


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "state=asleep", "method=magic", "after=x", "after=" + "x" * 300, "search=" + "x" * 201],
)
def test_what_makes_no_sense_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/api/jobs?{query}").status_code == 400
