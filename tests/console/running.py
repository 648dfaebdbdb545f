"""`tuneward serve` with its worker as users start it, on a tiny model, and a browser that looks at it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.tiny import save_tiny_chat_model

KEY = "tw-of-this-test"
MODEL = "smollm2-135m"
ROOT = Path(__file__).parents[2]
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
SIZES = {"desk": (1280, 800), "phone": (390, 844)}


@dataclass(frozen=True)
class Running:
    """A server."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    log: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)


@contextmanager
def serving(
    folder: Path, *flags: str, port: int = 0, worker: bool = True, model: Path | None = None, threads: int = 1
) -> Iterator[Running]:
    """Serve a model from a folder until the end of the block; what is in the folder already is gone on with.

    Args:
        folder: of the server's home and its log.
        flags: further ones of the command.
        port: 0 takes a free one.
        worker: whether jobs are trained.
        model: folder of the converted model; None makes a tiny one with random weights under its name.
        threads: processors that it may use.
    """
    home = folder / "home"
    place = home / "models" / MODEL
    if not place.exists() and model is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(model)
    elif not place.exists():
        save_tiny_chat_model(place, context=384)
        (place / "tuneward.json").write_text("{}")
    log = folder / "serve.log"
    environment = os.environ | {
        "TUNEWARD_HOME": str(home),
        "TUNEWARD_API_KEY": KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [sys.executable, "-m", "tuneward", "serve", "--model", MODEL, "--port", str(port), *flags]
    command += ["--threads", str(threads), *([] if worker else ["--no-worker"])]
    with log.open("ab") as output:
        started_at = log.stat().st_size
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield Running(_address(process, log, started_at), home, process, log)
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def browsing() -> Iterator[Browser]:
    """Debian's Chromium without a window; skips where there is none."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, url: str, *, size: str = "desk", theme: str = "light") -> Page:
    """A page of its own, not signed in; whatever the browser complains about is kept in `complaints(page)`."""
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=url, viewport={"width": width, "height": height}, color_scheme="dark" if theme == "dark" else "light",
        accept_downloads=True, reduced_motion="reduce",
    )  # fmt: skip
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("console", lambda message: found.append(message.text) if message.type in ("error", "warning") else None)
    _COMPLAINTS[page] = found
    return page


_COMPLAINTS: dict[Page, list[str]] = {}


def complaints(page: Page) -> list[str]:
    """What the browser complained about, but for answers that a test or the sign-in expects."""
    expected = re.compile(r"Failed to load resource|net::ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING")
    return [text for text in _COMPLAINTS[page] if not expected.search(text)]


def sign_in(page: Page, path: str = "/") -> Page:
    page.goto(path)
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation", name="Console").wait_for()
    return page


def violations(page: Page) -> list[str]:
    """What axe finds that is serious or critical, in words."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:5]
    ]


def scrolls_sideways(page: Page) -> bool:
    """Whether the page is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"))


def _address(process: subprocess.Popen[bytes], log: Path, started_at: int) -> str:
    with httpx.Client(timeout=5) as client:
        while process.poll() is None:
            said = log.read_bytes()[started_at:].decode(errors="replace")
            if found := re.search(r"http://127\.0\.0\.1:\d+", said):
                try:
                    if client.get(f"{found[0]}/readyz").status_code == 200:
                        return found[0]
                except httpx.TransportError:
                    pass
    raise AssertionError(log.read_text())


def assert_clean(page: Page) -> None:
    """Nothing that the browser or somebody who cannot see or point would complain about, and no text that ran."""
    assert violations(page) == []
    assert complaints(page) == []
    assert page.title() != "injected"
    assert page.locator("img[src=x]").count() == 0
