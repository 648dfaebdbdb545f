"""Signing in, keys that are refused or expire, and a server that goes away and comes back."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, expect
from tests.console.running import (
    KEY,
    Running,
    complaints,
    open_page,
    scrolls_sideways,
    serving,
    sign_in,
    violations,
)


def test_a_wrong_key_is_refused_in_words_and_the_right_one_leads_to_the_page_that_was_wanted(
    browser: Browser, server: Running
) -> None:
    page = open_page(browser, server.url)
    page.goto("/settings")
    page.get_by_label("API key").fill("tw-guessed")
    page.keyboard.press("Enter")
    expect(page.get_by_label("API key")).to_have_attribute("aria-invalid", "true")
    assert violations(page) == []
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Settings")).to_be_visible()
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(page.get_by_role("heading", level=1, name="Settings")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert complaints(page) == []
    page.context.close()


def test_a_key_that_expires_leads_back_to_the_sign_in_with_the_reason(browser: Browser, server: Running) -> None:
    with server.client() as client:
        made = client.post("/api/keys", json={"name": "short", "role": "viewer"}).json()
        page = open_page(browser, server.url)
        page.goto("/")
        page.get_by_label("API key").fill(made["secret"])
        page.keyboard.press("Enter")
        page.get_by_role("navigation", name="Console").wait_for()
        client.delete(f"/api/keys/{made['id']}").raise_for_status()
    # Nothing is clicked: the list is told of changes as they come, and that stream ends with the key.
    expect(page.get_by_text("You were signed out")).to_be_visible()
    page.context.close()


def test_a_server_that_goes_away_is_told_and_one_that_comes_back_is_found(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, worker=False) as running:
        port = urlsplit(running.url).port or 0
        page = sign_in(open_page(browser, running.url))
        running.process.terminate()
        running.process.wait(timeout=60)
        expect(page.get_by_text("not reachable")).to_be_visible()
        assert violations(page) == []
    with serving(tmp_path, worker=False, port=port):
        expect(page.get_by_text("not reachable")).to_be_hidden()
        page.get_by_role("link", name="Models").click()
        expect(page.get_by_role("heading", level=1, name="Models")).to_be_visible()
        assert not scrolls_sideways(page)
    page.context.close()


def test_the_first_page_is_small(browser: Browser, server: Running) -> None:
    page = sign_in(open_page(browser, server.url))
    page.reload()
    expect(page.get_by_role("heading", level=1, name="Jobs")).to_be_visible()
    sizes: dict[str, int] = page.evaluate(
        """() => Object.fromEntries([...performance.getEntriesByType("navigation"),
                                     ...performance.getEntriesByType("resource")]
           .filter((entry) => entry.initiatorType !== "fetch").map((entry) => [entry.name, entry.encodedBodySize]))"""
    )
    assert len(sizes) > 3
    assert 10_000 < sum(sizes.values()) < 150_000, sizes
    page.context.close()
