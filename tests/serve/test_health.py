"""Is the server up, ready, and what does it count; and what its log says."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from tests.serve.accounts import Service, bearer, serving
from tests.service import app_with

from tuneward.errors import StoreError
from tuneward.serve import logs
from tuneward.store.database import Database


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("home")) as running:
        yield running


def test_health_needs_no_key(service: Service) -> None:
    assert httpx.get(f"{service.url}/healthz").json() == {"status": "ok"}
    ready = httpx.get(f"{service.url}/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (200, {"database": True, "home": True})


def test_a_server_without_its_database_or_home_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    with TestClient(app_with(home)) as client:
        assert client.get("/readyz").status_code == 200
        with monkeypatch.context() as patched:

            def away(*_args: object, **_settings: object) -> None:
                raise StoreError("away")

            patched.setattr(Database, "read", away)
            answer = client.get("/readyz")
            assert (answer.status_code, answer.json()["checks"]) == (503, {"database": False, "home": True})
            assert client.get("/healthz").status_code == 200
            assert client.get("/metrics").status_code == 200, "what needs no database is still told"
        home.rename(tmp_path / "moved")
        assert client.get("/readyz").json()["checks"]["home"] is False


def test_metrics_count_requests_by_route_and_jobs_by_state(service: Service) -> None:
    with service.client() as client:
        client.get("/api/keys")
        client.get("/v1/models/none-of-this-name")
    httpx.get(f"{service.url}/v1/nowhere-{time.time()}")
    families = {
        family.name: family for family in text_string_to_metric_families(httpx.get(f"{service.url}/metrics").text)
    }
    labels = [sample.labels for sample in families["tuneward_http_requests"].samples if sample.name.endswith("_total")]
    assert {"method": "GET", "route": "/api/keys", "status": "200"} in labels
    assert {"method": "-", "route": "unmatched", "status": "401"} in labels
    assert not any("none-of-this-name" in one["route"] or "nowhere" in one["route"] for one in labels)
    assert {sample.labels["state"] for sample in families["tuneward_jobs"].samples} >= {
        "queued",
        "running",
        "succeeded",
    }
    assert families["tuneward_queue_wait_seconds"].samples[0].value == 0


def test_beyond_this_machine_metrics_need_a_key(tmp_path: Path) -> None:
    with serving(tmp_path / "home", host="0.0.0.0") as service:
        assert httpx.get(f"{service.url}/metrics").status_code == 401
        assert httpx.get(f"{service.url}/metrics", headers=bearer(service.key("viewer").secret)).status_code == 200
        assert httpx.get(f"{service.url}/healthz").status_code == 200


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged, as JSON."""
    stream = io.StringIO()
    before = {name: vars(logging.getLogger(name)).copy() for name in ("tuneward", "uvicorn")}
    logs.configure("json", stream)
    yield stream
    for name, state in before.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = state["handlers"], state["propagate"]
        logger.setLevel(state["level"])


def test_every_request_is_a_line_of_json_without_secrets(service: Service, lines: io.StringIO) -> None:
    key = service.key("viewer")
    with service.client(key) as client:
        answer = client.get("/v1/models?X-Amz-Signature=" + "0" * 64)
        client.get("/healthz")
    records = [json.loads(line) for line in lines.getvalue().splitlines()]
    (record,) = [record for record in records if record["logger"] == "tuneward.access"]
    assert record["request_id"] == answer.headers["x-request-id"]
    assert (record["method"], record["route"], record["status"]) == ("GET", "/v1/models", 200)
    assert record["key_id"] == key.info.id
    assert record["ms"] >= 0
    assert record["level"] == "info"
    assert key.secret not in lines.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "key tw-abcdefghijklmnop",
        "Authorization: Bearer abcdefgh",
        "?X-Amz-Signature=0123456789abcdef0123456789abcdef",
        "AWS4-HMAC-SHA256 Credential=x, Signature=0123456789abcdef0123456789abcdef",
        "bedrock-api-key-YWJjZGVmZ2g=",
        "postgresql://user:hunter22@host/db",
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_in_messages_are_masked(text: str, form: logs.LogFormat, lines: io.StringIO) -> None:
    logs.configure(form, lines)
    logging.getLogger("tuneward.test").warning("failed: %s", text)
    said = lines.getvalue()
    assert "failed" in said
    assert "***" in said
    for secret in ("abcdefgh", "0123456789abcdef", "YWJj", "hunter22"):
        assert secret not in said


def test_a_line_of_text_cannot_be_forged(lines: io.StringIO) -> None:
    logs.configure("text", lines)
    logging.getLogger("tuneward.test").warning("path %s", "/x\n2026-01-01 ERROR forged")
    assert [line[:4] for line in lines.getvalue().splitlines()[1:]] == ["    "]
