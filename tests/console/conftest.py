"""A browser, and a server to look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from tests.console.running import Running, browsing, serving

from tuneward.serve.console import console_folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert (console_folder() / "index.html").is_file(), "the console is not built: make console"
    # Of a module: as long as it is open, its event loop runs in this thread, and tests with a loop of their own cannot.
    with browsing() as found:
        yield found


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("console")) as running:
        yield running
