"""What the console shows when something is wrong, strange, empty or very long."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import insert
from tests.console.running import (
    MODEL,
    Running,
    assert_clean,
    complaints,
    open_page,
    scrolls_sideways,
    serving,
    sign_in,
    violations,
)

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.store.database import Database
from tuneward.store.tables import Job

MARKUP = "<img src=x onerror=\"document.title='injected'\">"
MANY = 10_000

PRINTS_MARKUP = f"""
def lambda_handler(event, context):
    print({MARKUP!r})
    raise ValueError({MARKUP!r})
"""
PAGES = ("/", "/new", "/new/data", "/models", "/models/deployments", "/playground", "/functions", "/settings")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Of its own: its lists are empty at first."""
    with serving(tmp_path_factory.mktemp("states")) as running:
        yield running


def upload(client: httpx.Client, rows: list[dict[str, Any]]) -> str:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    answer = client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": ("rows.jsonl", content)})
    return str(answer.raise_for_status().json()["id"])


def start(client: httpx.Client, rows: list[dict[str, Any]], reward: dict[str, Any], **training: Any) -> str:
    """A job that has ended."""
    body = {
        "method": "reinforcement", "model": MODEL, "training": {"kind": "file", "file_id": upload(client, rows)},
        "config": {"reward": reward, "training": {"max_steps": 1, "max_completion_tokens": 8, **training}},
    }  # fmt: skip
    made = client.post("/api/jobs", json=body)
    assert made.status_code == 201, made.text
    job_id = str(made.json()["id"])
    deadline = time.monotonic() + 120
    while client.get(f"/api/jobs/{job_id}").json()["state"] not in ("failed", "succeeded"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return job_id


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_empty_lists_say_what_to_do_and_fit_every_window(
    browser: Browser, server: Running, size: str, theme: str
) -> None:
    page = sign_in(open_page(browser, server.url, size=size, theme=theme))
    for path in PAGES:
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator(".skeleton")).to_have_count(0)
        assert violations(page) == [], path
        assert not scrolls_sideways(page), path
    assert complaints(page) == []
    page.context.close()


def test_a_job_that_its_rows_fail_names_each_line(browser: Browser, server: Running) -> None:
    # An upload is looked at only at its beginning; the job looks at every line.
    good = [{"messages": [{"role": "user", "content": f"{n} {MARKUP}"}], "reference_answer": "a"} for n in range(20)]
    bad = [{"messages": [{"role": MARKUP, "content": "B"}]}, {"messages": []}]
    with server.client() as client:
        job_id = start(client, [*good, *bad], {"template": "regex_match"})
    page = sign_in(open_page(browser, server.url))
    page.goto(f"/jobs/{job_id}")
    expect(page.get_by_text("Line 21").or_(page.get_by_role("cell", name="21", exact=True)).first).to_be_visible()
    expect(page.get_by_role("link", name="Clone").or_(page.get_by_text("Clone and fix")).first).to_be_visible()
    assert_clean(page)
    page.context.close()


def test_a_grader_that_fails_is_told_with_what_it_printed_as_text(browser: Browser, server: Running) -> None:
    row = {"messages": [{"role": "user", "content": "A"}], "reference_answer": "a"}
    rows = [{**row, "messages": [{"role": "user", "content": f"{n}"}]} for n in range(20)]
    with server.client() as client:
        function = {
            "name": "raises",
            "files": {"lambda_function.py": PRINTS_MARKUP},
            "publish": True,
            "description": MARKUP,
        }
        client.post("/api/functions", json=function).raise_for_status()
        job_id = start(client, rows, {"function": "raises:1"})
    page = sign_in(open_page(browser, server.url))
    page.goto(f"/jobs/{job_id}")
    expect(page.get_by_text("ValueError").first).to_be_visible()
    assert_clean(page)
    page.goto(f"/jobs/{job_id}/events")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert_clean(page)
    page.goto("/functions/raises/logs")
    expect(page.get_by_role("row").filter(has_text="rror").first).to_be_visible()
    page.get_by_role("button", name="Output").or_(page.get_by_role("button", name="Show")).first.click()
    expect(page.get_by_text(MARKUP).first).to_be_visible()
    assert_clean(page)
    page.context.close()


def test_what_does_not_exist_is_said(browser: Browser, server: Running) -> None:
    page = sign_in(open_page(browser, server.url))
    for path, words in (
        ("/jobs/ftjob-nothing", "There is no such job in this project"),
        ("/functions/nothing", "nothing"),
        ("/models/deployments/none", "There is nothing at this address"),
    ):
        page.goto(path)
        expect(page.get_by_text(words).first).to_be_visible()
        assert complaints(page) == []
    page.context.close()


def test_ten_thousand_jobs_are_a_list_like_any_other(browser: Browser, server: Running) -> None:
    _add_jobs(server.home / "server" / "tuneward.db")
    page = sign_in(open_page(browser, server.url))
    expect(page.get_by_text(f"many-{MANY - 1}", exact=True)).to_be_visible()
    assert page.locator("tbody tr").count() < 200
    page.get_by_role("searchbox").fill("many-77")
    expect(page.get_by_text("many-77", exact=True).or_(page.get_by_text("many-7799", exact=True)).first).to_be_visible()
    expect(page.get_by_text(f"many-{MANY - 1}", exact=True)).to_have_count(0)
    assert complaints(page) == []
    page.context.close()


def _add_jobs(path: Path) -> None:
    now = time.time()
    spec = {
        "method": "reinforcement",
        "base_model": MODEL,
        "training": {"kind": "uri", "uri": "s3://a/b"},
        "config": {},
    }
    rows = [
        {
            "id": f"j{n:011d}", "project_id": DEFAULT_PROJECT, "created_by": "key_1", "name": f"many-{n}",
            "state": "cancelled", "dialect": "openai", "model": MODEL, "spec": spec, "request": {},
            "created_at": now + n / MANY, "updated_at": now, "phases": {}, "progress": {}, "result_files": [],
            "lease_token": 0, "attempts": 0,
        }
        for n in range(MANY)
    ]  # fmt: skip
    Database(f"sqlite:///{path}").write(lambda session: session.execute(insert(Job), rows))
