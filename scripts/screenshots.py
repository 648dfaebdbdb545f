"""Pictures of every page of the console for docs/images: `make screenshots`.

Trains the demo's task on the embedded model through a server of its own, which takes minutes on two cores, and then
draws each page in the light and the dark theme and at the width of a phone.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from tests.console.running import MODEL, browsing, open_page, serving, sign_in

from tuneward.models.pull import pull

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
STEPS = 16
VIEWS = (("light", "desk"), ("dark", "desk"), ("light", "phone"))
QUALITY = 60
"""Of the WebP files: small, and the text stays sharp."""
TERMINAL = {"succeeded", "failed", "cancelled", "stopped"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw every page of the console into docs/images.")
    parser.add_argument("--folder", type=Path, help="keep the server's home here, and draw its job again next time")
    folder = parser.parse_args().folder
    IMAGES.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place.mkdir(parents=True, exist_ok=True)
        server = stack.enter_context(serving(place, model=pull(MODEL), threads=2))
        client = stack.enter_context(server.client())
        jobs = _answer(client.get("/api/jobs"))["data"]
        job = jobs[0] if jobs else _train(client)
        browser = stack.enter_context(browsing())
        for theme, size in VIEWS:
            _draw_all(browser, server.url, job, theme, size)


def _train(client: httpx.Client) -> dict[str, Any]:
    demo = resources.files("tuneward.demo")
    files = {
        name: _upload(client, f"{name}.jsonl", (demo / f"{name}.jsonl").read_bytes())
        for name in ("train", "validation")
    }
    code = {"lambda_function.py": (demo / "reward.py").read_text(encoding="utf-8")}
    function = {
        "name": "extraction-reward",
        "files": code,
        "publish": True,
        "description": "Fields of the JSON that are right",
    }
    _answer(client.post("/api/functions", json=function))
    request = {
        "name": "people-to-json",
        "method": "reinforcement",
        "model": MODEL,
        "training": {"kind": "file", "file_id": files["train"]},
        "validation": {"kind": "file", "file_id": files["validation"]},
        "config": {
            "data": {"max_prompt_length": 256},
            "training": {
                "learning_rate": 3e-4, "max_completion_tokens": 48, "prompts_per_step": 8, "samples_per_prompt": 8,
                "max_steps": STEPS,
            },
            "evaluation": {"every_steps": 4, "preflight_prompts": 8, "early_stopping": False},
            "reward": {"function": "extraction-reward:1"},
        },
        "suffix": "people",
    }  # fmt: skip
    job = _answer(client.post("/api/jobs", json=request))
    while (job := _answer(client.get(f"/api/jobs/{job['id']}")))["state"] not in TERMINAL:
        print(f"{job['state']} {job.get('step') or 0}/{job.get('total_steps') or STEPS}", flush=True)
        time.sleep(5)
    if job["state"] != "succeeded":
        raise SystemExit(f"The job {job['state']}: {json.dumps(job.get('error'))}")
    return dict(job)


def _upload(client: httpx.Client, name: str, content: bytes) -> str:
    answer = client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": (name, content)})
    return str(_answer(answer)["id"])


def _answer(response: httpx.Response) -> Any:
    if response.is_error:
        raise SystemExit(f"{response.request.method} {response.request.url}: {response.text}")
    return response.json()


def _draw_all(browser: Browser, url: str, job: dict[str, Any], theme: str, size: str) -> None:
    page = open_page(browser, url, size=size, theme=theme)
    page.goto("/")
    page.get_by_label("API key").wait_for()
    _draw(page, "sign-in", theme, size)
    sign_in(page)
    page.goto(f"/new?clone={job['id']}")
    page.get_by_role("heading", name="Review").wait_for()
    job_page = f"/jobs/{job['id']}"
    for name, path, act in (
        ("jobs", "/", None),
        ("job", job_page, None),
        ("job-curves", job_page, _to_the_curves),
        ("job-rollouts", f"{job_page}/rollouts?step={STEPS // 2}", _to_the_completions),
        ("job-checkpoints", f"{job_page}/checkpoints", None),
        ("job-events", f"{job_page}/events", None),
        ("job-data", f"{job_page}/data", None),
        ("job-configuration", f"{job_page}/configuration", None),
        ("new-model", "/new/model", None),
        ("new-data", "/new/data", None),
        ("new-reward", "/new/reward", None),
        ("new-settings", "/new/settings", None),
        ("new-preflight", "/new/preflight", None),
        ("new-review", "/new/review", None),
        ("models", "/models", None),
        ("playground", "/playground", _ask),
        ("functions", "/functions/extraction-reward", None),
        ("settings", "/settings", None),
    ):
        page.goto(path)
        _settle(page)
        if act is not None:
            act(page)
        _draw(page, name, theme, size)
    page.context.close()


def _to_the_curves(page: Page) -> None:
    _scroll_to(page.get_by_role("button", name="Compare jobs"))


def _to_the_completions(page: Page) -> None:
    page.get_by_label("Colour tokens by probability").check()
    _settle(page)
    _scroll_to(page.get_by_text("8 completions", exact=True))


def _ask(page: Page) -> None:
    page.get_by_role("button", name="Take a prompt from a job").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Job", exact=True).select_option(index=1)
    dialog.get_by_role("listitem").get_by_role("button").first.click()
    page.get_by_label("Most tokens").fill("60")
    page.get_by_role("button", name="Send to 2 models").click()
    expect(page.get_by_text("tokens/s")).to_have_count(2)
    page.get_by_role("button", name="Grade", exact=True).click()
    expect(page.get_by_text("reward").first).to_be_visible()
    _settle(page)


def _scroll_to(target: Locator) -> None:
    """Put it at the top, rather than just into sight."""
    target.evaluate("element => window.scrollBy(0, element.getBoundingClientRect().top - 12)")
    target.page.wait_for_timeout(700)


def _settle(page: Page) -> None:
    """Wait until nothing is loading any more; live streams never end, so the network is no measure."""
    page.get_by_role("heading", level=1).wait_for()
    expect(page.locator(".skeleton, [aria-busy=true]")).to_have_count(0)
    page.wait_for_timeout(700)


def _draw(page: Page, name: str, theme: str, size: str) -> None:
    suffix = "phone" if size == "phone" else theme
    picture = IMAGES / f"{name}-{suffix}.webp"
    Image.open(io.BytesIO(page.screenshot())).save(picture, quality=QUALITY, method=6)
    print(picture.relative_to(IMAGES.parent.parent), flush=True)


if __name__ == "__main__":
    main()
