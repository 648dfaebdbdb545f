"""The audit log: what is in it, what must never be, and who reads it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from tests.serve.accounts import Service, bearer, serving

from tuneward.accounts.projects import create_project
from tuneward.accounts.trail import Act, Trail
from tuneward.errors import StoreError
from tuneward.store.database import Database
from tuneward.store.migrate import upgrade


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("home")) as running:
        yield running


def entries(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = client.get("/api/audit", params=query).json()["data"]
    return data


def test_changes_and_refusals_are_there_and_reads_are_not(service: Service) -> None:
    admin, viewer = service.key(), service.key("viewer")
    with service.client(admin) as client:
        client.get("/api/keys")
        made = client.post("/api/keys", json={"name": "new"})
        service.client(viewer).get("/api/keys", params={"token": "in the query"})
        newest = entries(client, limit=2)
    refused, change = newest
    assert change["action"] == "POST /api/keys"
    assert (change["actor"], change["status"]) == (admin.info.id, 200)
    assert change["request_id"] == made.headers["x-request-id"]
    assert refused["action"] == "GET /api/keys"
    assert (refused["actor"], refused["status"], refused["target"]) == (viewer.info.id, 403, "/api/keys")
    assert refused["project_id"] == "proj_default"


def test_a_stranger_is_noted_as_one(service: Service) -> None:
    httpx.delete(f"{service.url}/v1/files/file-1?key=tw-secret", headers=bearer("tw-guessed"))
    with service.client() as client:
        (newest,) = entries(client, limit=1)
    assert (newest["actor"], newest["project_id"], newest["status"]) == ("anonymous", None, 401)
    assert newest["target"] == "/v1/files/file-1"


def test_calls_of_models_are_no_changes(service: Service) -> None:
    with service.client() as client:
        before = entries(client, limit=1)
        for path in ("chat/completions", "completions", "responses", "responses/input_tokens"):
            client.post(f"/v1/{path}", json={"model": "none", "messages": []})
        client.post("/model/none/converse", json={"messages": []})
        assert entries(client, limit=1) == before


def test_no_key_body_or_query_is_written(service: Service) -> None:
    key = service.key()
    with service.client(key) as client:
        client.post("/api/projects?secret=of-the-query", json={"name": "secret-of-the-body"})
        entries(client)
    rows = service.database.read(lambda session: session.execute(text("SELECT * FROM audit_log")).all())
    written = repr(rows)
    for secret in (key.secret, "of-the-query", "secret-of-the-body", "Bearer"):
        assert secret not in written


def test_pages_follow_each_other_to_the_end(service: Service) -> None:
    with service.client() as client:
        for number in range(5):
            client.delete(f"/api/keys/key_{number}")
        pages, after = [], None
        while True:
            page = client.get("/api/audit", params={"limit": 2} | ({"after": after} if after else {})).json()
            pages += page["data"]
            if not page["has_more"]:
                break
            after = page["data"][-1]["id"]
        assert [entry["id"] for entry in pages] == sorted({entry["id"] for entry in pages}, reverse=True)
        assert [entry["target"] for entry in pages[:5]] == [f"/api/keys/key_{number}" for number in (4, 3, 2, 1, 0)]


def test_a_project_reads_its_own_entries_and_the_default_project_all(service: Service) -> None:
    project = create_project(service.database, "audited")
    with service.client(service.key("admin", project.id)) as client:
        client.post("/api/keys", json={"name": "theirs"})
        assert {entry["project_id"] for entry in entries(client)} == {project.id}
    with service.client() as head:
        head.post("/api/keys", json={"name": "ours"})
        assert {entry["project_id"] for entry in entries(head)} >= {project.id, "proj_default"}


def test_entries_are_found_by_what_they_say_and_by_their_end(service: Service) -> None:
    viewer = service.key("viewer")
    with service.client(viewer) as client:
        client.delete("/api/keys/100%25_a")
    with service.client() as client:
        client.post("/api/keys", json={"name": "made"})
        assert {entry["actor"] for entry in entries(client, search=viewer.info.id.upper())} == {viewer.info.id}
        assert [entry["target"] for entry in entries(client, search="100%25_A")] == ["/api/keys/100%25_a"]
        assert {entry["status"] for entry in entries(client, refused=True, limit=5)} <= {400, 401, 403, 404}
        assert {entry["status"] for entry in entries(client, search="post /api/keys")} >= {200}


class Refusing(Database):
    """Cannot be written to until it is told."""

    is_down = False

    def write(self, work: Any, **settings: Any) -> Any:
        if self.is_down:
            raise StoreError("down")
        return super().write(work, **settings)


def act(number: int) -> Act:
    return Act(time.time(), None, "anonymous", "GET /", f"/{number}", 401, f"req_{number}")


def test_entries_wait_for_a_database_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneward.accounts.trail.RETRY_S", 0.01)
    database = Refusing(f"sqlite:///{tmp_path / 'a.db'}")
    upgrade(database)
    database.is_down = True
    trail = Trail(database)
    for number in range(700):
        trail.note(act(number))
    assert not trail.flush(0.1)
    database.is_down = False
    assert trail.flush()
    assert [entry.target for entry in trail.entries(None, limit=1000)] == [
        f"/{number}" for number in range(699, -1, -1)
    ]
    trail.close()
    trail.close()
    assert not any(thread.name == "audit-log" and thread is trail._thread for thread in threading.enumerate())


def test_noting_never_waits_and_the_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneward.accounts.trail.MOST_WAITING", 10)
    database = Refusing(f"sqlite:///{tmp_path / 'a.db'}")
    upgrade(database)
    database.is_down = True
    trail = Trail(database)
    for number in range(1000):
        trail.note(act(number))
    assert trail._waiting.qsize() <= 10
    trail.close()
