"""How fast the job's page draws: 20 series of 5,000 steps, and what one more step costs.

.venv/bin/python benchmarks/console_charts.py [--runs 5] [--steps 5000]     # the console has to be built: make console

What is timed, in Chromium: from the moment at which the page has parsed the numbers until the last stroke on a canvas.
Between them lie the layout of the page, smoothing, aligning, scales and paths. All charts are in sight, and each
draws its values and their moving average, so twice as many points as there are.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy.orm import Session

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.config import ConnectionConfig, ServerConfig
from tuneward.jobs.service import add_event
from tuneward.serve.app import create_app
from tuneward.serve.auth import fixed_key
from tuneward.serve.build import build_services
from tuneward.serve.catalog import FixedCatalog
from tuneward.serve.server import Server, bind
from tuneward.serve.services import Services
from tuneward.store.tables import Job

SERIES = 20
JOB = "benchjob0000"
CHROMIUM = "/usr/bin/chromium"
PATIENCE_MS = 60_000

WATCH = """
window.bench = {parsed: 0, strokes: 0, last: 0};
const parse = Response.prototype.json;
Response.prototype.json = async function () {
  const value = await parse.call(this);
  if (this.url.includes("/metrics?kind=step") && value.steps.length) window.bench.parsed = performance.now();
  return value;
};
const stroke = CanvasRenderingContext2D.prototype.stroke;
CanvasRenderingContext2D.prototype.stroke = function (...path) {
  stroke.apply(this, path);
  if (window.bench.parsed) { window.bench.strokes += 1; window.bench.last = performance.now(); }
};
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        app, services = _application(Path(home))
        _seed(services, options.steps)
        with Server(app, bind("127.0.0.1", 0)) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            found = [_measured(browser, server.url, services, options.steps + number) for number in range(options.runs)]
            browser.close()
    report = {"series": SERIES, "steps": options.steps, "runs": options.runs}
    for name in ("request_ms", "draw_ms", "update_ms"):
        values = [one[name] for one in found]
        report[name] = {"median": round(statistics.median(values), 1), "worst": round(max(values), 1)}
    print(json.dumps(report, indent=2))


def _application(home: Path) -> tuple[FastAPI, Services]:
    services = build_services(ServerConfig(home=home), FixedCatalog(()), fixed_key(None), judges=ConnectionConfig())
    return create_app(services), services


def _seed(services: Services, steps: int) -> None:
    def work(session: Session) -> None:
        now = time.time()
        job = Job(
            id=JOB, project_id=DEFAULT_PROJECT, created_by="key", name="bench", state="running", dialect="openai",
            model="tiny", request={}, created_at=now, updated_at=now, started_at=now, phases={}, result_files=[],
            spec={
                "method": "reinforcement", "base_model": "tiny", "training": {"kind": "uri", "uri": "s3://a/b"},
                "config": {},
            },
            progress={"step": steps, "total_steps": 2 * steps},
        )  # fmt: skip
        session.add(job)
        session.flush()
        for step in range(1, steps + 1):
            _add(session, job, step)

    services.database.write(work)


def _add(session: Session, job: Job, step: int) -> None:
    numbers = {f"metric/series {place:02}": step**0.5 + random.gauss(0, 5) for place in range(SERIES)}
    add_event(session, job, "step", f"Step {step}", kind="metrics", data={"kind": "step", "step": step, **numbers})


def _measured(browser: Browser, url: str, services: Services, steps: int) -> dict[str, float]:
    """One look at the page, and one more step while it is looked at."""
    page = browser.new_page(viewport={"width": 1600, "height": 3600})
    page.add_init_script(WATCH)
    page.goto(f"{url}/jobs/ftjob-{JOB}")
    page.wait_for_function("() => document.querySelectorAll('.chart canvas').length >= 20", timeout=PATIENCE_MS)
    first = _settled(page)
    timing = page.evaluate(
        "performance.getEntriesByType('resource').filter(e => e.name.includes('/metrics?kind=step'))[0].duration"
    )
    page.evaluate("document.querySelectorAll('.chart canvas').forEach(one => { one.dataset.old = '1'; })")
    page.evaluate("window.bench = {parsed: 0, strokes: 0, last: 0}")
    services.database.write(lambda session: _add(session, session.get_one(Job, JOB), steps + 1))
    page.wait_for_function("() => window.bench.strokes > 0", timeout=PATIENCE_MS)
    update = _settled(page)
    rebuilt: Any = page.evaluate(
        "[...document.querySelectorAll('.chart canvas')].filter(one => !one.dataset.old).length"
    )
    assert rebuilt == 0, f"{rebuilt} charts were made anew for one more step"
    page.close()
    return {"request_ms": timing, "draw_ms": first, "update_ms": update}


def _settled(page: Page) -> float:
    """Milliseconds from the parsed numbers to the last stroke, once nothing is drawn for half a second."""
    is_settled = "() => window.bench.last && performance.now() - window.bench.last > 500"
    page.wait_for_function(is_settled, timeout=PATIENCE_MS)
    return float(page.evaluate("window.bench.last - window.bench.parsed"))


if __name__ == "__main__":
    main()
