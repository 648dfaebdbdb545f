"""What models, reward functions and people have written is text in the console, whatever it looks like."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import tests.kept_rollouts as kept
from playwright.sync_api import Browser, expect
from tests.console.running import assert_clean, open_page
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.jobs.places import job_home
from tuneward.jobs.service import NewJob, add_event, find_job
from tuneward.jobs.spec import FileSource, JobSpec
from tuneward.serve.server import Server, bind

MARKUP = "<img src=x onerror=\"document.title='injected'\"><script>document.title='injected'</script>"
NAME = f"job {MARKUP}"


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Address of a server and id of its job, in which every text is markup."""
    monkeypatch.setattr(kept, "text_of", lambda step, row, index: f"{step} {row} {index} {MARKUP}")
    monkeypatch.setattr(kept, "CALL", dataclasses.replace(kept.CALL, grader=MARKUP, stdout_tail=MARKUP))
    monkeypatch.setattr(kept, "FAILED", dataclasses.replace(kept.FAILED, message=MARKUP, stderr_tail=MARKUP))
    home = tmp_path / "home"
    app = app_with(home)
    services = app.state.services
    file = services.files.add(
        DEFAULT_PROJECT,
        purpose="fine-tune",
        filename=f"{MARKUP}.jsonl",
        content=[b'{"messages": [{"role": "user", "content": "A"}]}\n'],
    )
    spec = JobSpec(method="reinforcement", base_model="smollm2-135m", training=FileSource(file_id=file.id))
    principal = Principal("key_test", DEFAULT_PROJECT, "000000000000", "admin")
    made = services.jobs.create(
        principal, NewJob("openai", "smollm2-135m", spec, {}, name=NAME, user_metadata={MARKUP: MARKUP})
    )
    services.database.write(
        lambda session: add_event(session, find_job(session, DEFAULT_PROJECT, made.id), "warning", MARKUP, level="warn")
    )
    run = job_home(home, DEFAULT_PROJECT, made.id) / "run"
    kept.keep_rollouts(run / "rollouts.db", steps=2)
    (run / "evaluations").mkdir()
    row = {"id": "row-100", "reward": 0.5, "text": MARKUP, "completion_tokens": 3, "finish_reason": "stop"}
    (run / "evaluations" / "step-000000.jsonl").write_text(json.dumps(row) + "\n")
    with Server(app, bind("127.0.0.1", 0)) as server:
        yield server.url, f"ftjob-{made.id}"


def test_markup_stays_text_wherever_it_comes_from(browser: Browser, job: tuple[str, str]) -> None:
    url, job_id = job
    page = open_page(browser, url)
    page.goto("/")
    expect(page.get_by_text(NAME).first).to_be_visible()
    assert_clean(page)

    page.goto(f"/jobs/{job_id}/rollouts?step=1")
    expect(page.get_by_text(f"1 0 0 {MARKUP}")).to_be_visible()
    page.get_by_label("Colour tokens by probability").check()
    page.get_by_text("Receipt").first.click()
    expect(page.get_by_role("region").filter(has_text=MARKUP).first).to_be_visible()
    assert_clean(page)

    page.get_by_text("Validation answers").click()
    expect(page.get_by_text(MARKUP).first).to_be_visible()
    assert_clean(page)

    for tab in ("events", "configuration", "data"):
        page.goto(f"/jobs/{job_id}/{tab}")
        expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
        expect(page.locator(".skeleton")).to_have_count(0)
        assert_clean(page)
    page.context.close()
