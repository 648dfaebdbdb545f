"""Signing in with a browser: a cookie that no script reads and no other origin can use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.serve.accounts import Service, bearer, serving

from tuneward.accounts.keys import revoke_key
from tuneward.accounts.lookup import FRESH_S
from tuneward.serve.api.session import ATTEMPTS_PER_MINUTE, COOKIE, HEADER

OURS = {HEADER: "1"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("home")) as running:
        yield running


@contextmanager
def signed_in(service: Service, role: str = "admin") -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url) as client:
        answer = client.post("/api/session", json={"key": service.key(role).secret})
        assert answer.status_code == 200, answer.text
        yield client


def test_a_key_becomes_a_cookie_that_scripts_cannot_read(service: Service) -> None:
    key = service.key("developer").secret
    answer = httpx.post(f"{service.url}/api/session", json={"key": f" {key}\n"})
    assert answer.json()["role"] == "developer"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Max-Age" not in cookie
    assert key not in answer.text


def test_staying_signed_in_is_asked_for(service: Service) -> None:
    answer = httpx.post(f"{service.url}/api/session", json={"key": service.key().secret, "remember": True})
    assert "Max-Age=2592000" in answer.headers["set-cookie"]


def test_the_cookie_is_the_key_for_every_dialect(service: Service) -> None:
    with signed_in(service) as client:
        for path in ("/api/session", "/v1/fine_tuning/jobs", "/model-customization-jobs", "/2015-03-31/functions"):
            assert client.get(path).status_code == 200, path
            assert httpx.get(service.url + path).status_code in (401, 403), path


def test_a_change_needs_the_header_that_other_origins_cannot_send(service: Service) -> None:
    with signed_in(service) as client:
        body = {"name": "another"}
        assert client.post("/api/keys", json=body).status_code == 401
        assert client.post("/api/keys", json=body, headers=OURS).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_origin_gets_nothing(service: Service, site: str) -> None:
    theirs = {**OURS, "Sec-Fetch-Site": site}
    with signed_in(service) as client:
        assert client.get("/api/session", headers=theirs).status_code == 401
        assert client.post("/api/keys", json={"name": "x"}, headers=theirs).status_code == 401
        assert client.delete("/api/session", headers=theirs).status_code == 403
        assert client.post("/api/session", json={"key": "x"}, headers=theirs).status_code == 403


def test_a_key_of_the_request_goes_before_the_cookie(service: Service) -> None:
    with signed_in(service, "admin") as client:
        answer = client.get("/api/session", headers=bearer(service.key("viewer").secret))
        assert answer.json()["role"] == "viewer"


def test_signing_out_forgets_the_cookie(service: Service) -> None:
    with signed_in(service) as client:
        assert client.delete("/api/session").status_code == 204
        assert client.get("/api/session").status_code == 401


def test_a_key_that_is_no_more_ends_the_session(service: Service) -> None:
    short = service.key(expires_at=time.time() + 3600)
    with httpx.Client(base_url=service.url) as client:
        client.post("/api/session", json={"key": short.secret})
        assert client.get("/api/session").status_code == 200
        revoke_key(service.database, short.info.id, None)
        deadline = time.monotonic() + 10 * FRESH_S
        while client.get("/api/session").status_code == 200:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("key", ["", "tw-guessed", "a b", "é", "x\x00y", "x" * 5000, "\n"])
def test_what_is_no_key_is_refused_in_words(service: Service, key: str) -> None:
    answer = httpx.post(f"{service.url}/api/session", json={"key": key})
    assert answer.status_code in (400, 401)
    assert answer.json()["error"]["message"]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("cookie", ["", "%%%", "w6k=", "YSBi", "=", "a" * 3000])
def test_a_damaged_cookie_is_none(service: Service, cookie: str) -> None:
    assert httpx.get(f"{service.url}/api/session", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code == 401


def test_guessing_is_slowed_down(tmp_path: Path) -> None:
    # Tries come back with time, one a second; they go faster than that.
    with serving(tmp_path) as service, httpx.Client(base_url=service.url) as client:
        codes = [_guess(client, n) for n in range(3 * ATTEMPTS_PER_MINUTE)]
    assert codes[0] == 401
    assert 429 in codes


def _guess(client: httpx.Client, number: int) -> int:
    return client.post("/api/session", json={"key": f"tw-{number}"}).status_code
