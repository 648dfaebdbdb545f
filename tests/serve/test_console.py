"""How the server hands out the console: to everybody, compressed, and under a policy that runs nothing else."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.service import app_with

from tuneward.serve.auth import fixed_key
from tuneward.serve.console import FOLDER_VARIABLE

PAGES = [
    "/",
    "/new",
    "/new/data",
    "/jobs/ftjob-1/rollouts",
    "/models",
    "/playground",
    "/functions/a%2Fb",
    "/settings/keys",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    built = tmp_path / "console"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html><title>Tuneward</title>")
    script = b"console.log('started');" * 100
    (built / "assets" / "index-AbCd1234.js").write_bytes(script)
    (built / "assets" / "index-AbCd1234.js.gz").write_bytes(gzip.compress(script))
    (built / "assets" / "theme.js").write_text("1")
    monkeypatch.setenv(FOLDER_VARIABLE, str(built))
    return built


@pytest.fixture
def client(folder: Path, tmp_path: Path) -> TestClient:
    assert folder.is_dir()
    return TestClient(app_with(tmp_path / "home", authenticate=fixed_key("the key")))


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_the_application_and_needs_no_key(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_files_with_a_hash_in_their_name_are_kept_for_ever_and_others_are_asked_for(client: TestClient) -> None:
    assert "immutable" in client.get("/assets/index-AbCd1234.js").headers["cache-control"]
    assert client.get("/assets/theme.js").headers["cache-control"] == "no-cache"


def test_a_browser_gets_the_compressed_file(client: TestClient) -> None:
    answer = client.get("/assets/index-AbCd1234.js", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text.startswith("console.log")
    plain = client.get("/assets/index-AbCd1234.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content


def test_what_a_browser_has_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/")
    assert client.get("/", headers={"if-none-match": first.headers["etag"]}).status_code == 304
    assert client.head("/").content == b""


@pytest.mark.parametrize("path", ["/assets/../index.html", "/assets/..%2findex.html", "/assets/none.js", "/assets/"])
def test_there_is_nothing_but_the_built_files(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (401, 403, 404) or "Tuneward" in client.get(path).text


@pytest.mark.parametrize("path", ["/newer", "/jobsx", "/v1/models", "/api/session", "/custom-models", "/favicon.ico"])
def test_paths_of_the_apis_stay_theirs(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (401, 403)


@pytest.mark.parametrize("path", ["/", "/new"])
def test_only_reading_is_the_consoles(client: TestClient, path: str) -> None:
    assert client.post(path).status_code in (401, 403)


def test_a_copy_without_a_built_console_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "nowhere"))
    answer = TestClient(app_with(tmp_path)).get("/")
    assert answer.status_code == 404
    assert "make console" in answer.text
