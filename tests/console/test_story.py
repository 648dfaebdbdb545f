"""The whole story in a browser, as somebody lives it who has never seen the console: on a tiny model, with markup in
every text that a stranger may have written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.console.running import KEY, Running, assert_clean, open_page, sign_in

MARKUP = "<img src=x onerror=\"document.title='injected'\">"
JOB = "first-job"
STEPS = 4


def rows() -> bytes:
    """Rules that a model of random bytes keeps to sometimes, so that there is something to learn."""
    wanted = {"must_match": ["[a-m]", "[n-z]", "[0-9]", "[A-Z]"], "max_characters": 40}
    lines = [_row(n, wanted) for n in range(24)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def _row(n: int, wanted: dict[str, object]) -> dict[str, object]:
    asked = {"role": "user", "content": f"{n}: Write. {MARKUP}"}
    return {"id": f"row {n} {MARKUP}", "messages": [asked], "reference_answer": wanted}


def go_on(page: Page, step: str) -> None:
    page.get_by_role("button", name=f"Next: {step}").click()


@pytest.fixture(scope="module")
def page(browser: Browser, server: Running) -> Page:
    return sign_in(open_page(browser, server.url))


@pytest.mark.timeout(600)
def test_from_the_first_job_to_a_deployed_model(page: Page, server: Running, tmp_path: Path) -> None:
    _begin(page)
    _bring_data(page)
    _choose_a_reward_and_test_it(page)
    _set(page)
    _look_before(page)
    code = _review(page)
    page.get_by_role("button", name=re.compile("^Start")).click()
    _watch(page)
    _browse_rollouts(page)
    _look_at_the_other_tabs(page)
    _deploy(page)
    _compare_in_the_playground(page)
    _run(code, server, tmp_path)


def _begin(page: Page) -> None:
    expect(page.get_by_role("heading", name="Tune your first model")).to_be_visible()
    assert_clean(page)
    page.get_by_role("main").get_by_role("link", name="New job").click()
    expect(page.get_by_role("radio", name=re.compile("smollm2-135m"))).to_be_checked()
    assert_clean(page)
    go_on(page, "data")


def _bring_data(page: Page) -> None:
    file = {"name": f"{MARKUP.replace('/', '')}.jsonl", "mimeType": "application/jsonl", "buffer": rows()}
    page.locator("input[type=file]").first.set_input_files([file])  # type: ignore[list-item]
    expect(page.get_by_text("24 rows can be trained on")).to_be_visible()
    expect(page.get_by_text(f"0: Write. {MARKUP}")).to_be_visible()
    assert_clean(page)
    page.reload()  # the draft is kept
    expect(page.get_by_text("24 rows can be trained on")).to_be_visible()
    go_on(page, "reward")


def _choose_a_reward_and_test_it(page: Page) -> None:
    page.get_by_text("Ready-made rule").click()
    page.get_by_text("format constraints").click()
    page.get_by_label("the reference answer").uncheck()
    page.get_by_label("A text of your own, for each row").fill(f"aZ9 {MARKUP}")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_role("table").filter(has_text="aZ9").first).to_be_visible()
    assert_clean(page)
    go_on(page, "settings")


def _set(page: Page) -> None:
    page.get_by_label("Steps at most").fill(str(STEPS))
    page.get_by_label("Longest completion, tokens").fill("24")
    page.get_by_label("Evaluate every … steps").fill("2")
    page.get_by_label("Learning rate").fill("0.01")
    expect(page.get_by_text("470 MiB of").or_(page.get_by_text(re.compile(r"\d+ MiB of"))).first).to_be_visible()
    assert_clean(page)
    go_on(page, "pre-flight")


def _look_before(page: Page) -> None:
    page.get_by_label("Prompts", exact=True).select_option("8")
    page.get_by_role("button", name="Run the pre-flight").click()
    expect(page.get_by_role("region", name="Verdict")).to_be_visible()
    expect(page.get_by_role("heading", name="Rewards before training")).to_be_visible()
    assert_clean(page)
    go_on(page, "review")


def _review(page: Page) -> str:
    page.get_by_label("Job name").fill(JOB)
    page.get_by_role("tab", name="openai").click()
    expect(page.get_by_role("region", name="The job as openai")).to_contain_text("fine_tuning.jobs.create")
    page.get_by_role("button", name="Copy", exact=True).click()
    code = str(page.evaluate("navigator.clipboard.readText()"))
    assert_clean(page)
    return code


def _watch(page: Page) -> None:
    expect(page).to_have_url(re.compile(r"/jobs/ftjob-"))
    expect(page.get_by_role("heading", level=1)).to_have_text(JOB)
    expect(page.get_by_text("succeeded").first).to_be_visible(timeout=180_000)
    expect(page.locator("canvas").first).to_be_visible()
    assert_clean(page)


def _browse_rollouts(page: Page) -> None:
    page.get_by_role("link", name="Rollouts").click()
    page.get_by_text("Write.").first.click()
    expect(page.get_by_text(re.compile("dvantage")).first).to_be_visible()
    assert_clean(page)


def _look_at_the_other_tabs(page: Page) -> None:
    for tab in ("Events", "Data", "Configuration", "Checkpoints"):
        page.get_by_role("navigation", name="Job", exact=True).get_by_role("link", name=tab).click()
        expect(page.locator(".skeleton")).to_have_count(0)
        assert_clean(page)


def _deploy(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Deploy")).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("first-deployment")
    assert_clean(page)
    dialog.get_by_role("button", name="Deploy", exact=True).click()
    expect(dialog.get_by_role("heading", name="first-deployment is deployed")).to_be_visible()
    dialog.get_by_role("link", name="Models and deployments").click()
    expect(page.get_by_role("rowheader", name="first-deployment")).to_be_visible()
    assert_clean(page)


def _compare_in_the_playground(page: Page) -> None:
    page.get_by_role("row", name="first-deployment").get_by_role("link", name="Playground").click()
    page.get_by_role("button", name="Take a prompt from a job").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Job", exact=True).select_option(index=1)
    dialog.get_by_text("Write.").first.click()
    assert_clean(page)
    page.get_by_role("button", name="Send to 2 models").click()
    expect(page.get_by_text("tokens/s")).to_have_count(2)
    page.get_by_role("button", name=re.compile("^Grade")).first.click()
    expect(page.get_by_text(re.compile("eward")).first).to_be_visible()
    assert_clean(page)


def _run(code: str, server: Running, folder: Path) -> None:
    script = folder / "again.py"
    script.write_text(code)
    (folder / "train.jsonl").write_bytes(rows())
    environment = os.environ | {"TUNEWARD_API_KEY": KEY}
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with server.client() as client:
        assert len(client.get("/api/jobs").json()["data"]) == 2
