"""What an administrator is told of the server: everything but secrets, and of others only what is no secret."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.accounts.projects import create_project
from tuneward.config import ConnectionConfig, LimitsConfig, ServedModelConfig, ServerConfig, StorageConfig
from tuneward.serve.server_facts import database_address, settings_of, without_password
from tuneward.serve.services import Services
from tuneward.store.tables import Job, SlotLease

CONFIG = ServerConfig(
    region="eu-west-1",
    slots=2,
    models=(ServedModelConfig(name="smollm2-135m", aliases=("amazon.nova-2-lite-v1:0:256k",)),),
    judges=ConnectionConfig(url="https://me:hunter2@judges.example/v1?key=hunter2", key_variable="JUDGE_KEY"),
    limits=LimitsConfig(active_jobs=7),
    storage=StorageConfig(endpoint_url="https://me:hunter2@s3.example:9000/", buckets=("rows",)),
)


class World:
    def __init__(self, home: Path):
        self.app = app_with(home, authenticate=self._authenticate, config=CONFIG)
        self.services: Services = self.app.state.services
        self.other = create_project(self.services.database, "other")
        self.client = TestClient(self.app)

    async def _authenticate(self, request: Request) -> Principal:
        project = {"head": DEFAULT_PROJECT, "other": self.other.id}[request.headers["authorization"]]
        return Principal("key", project, "0" * 12, "admin")

    def settings(self, who: str = "head") -> Any:
        answer = self.client.get("/api/settings", headers={"authorization": who})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def job(self, project_id: str, name: str, **values: Any) -> None:
        now = time.time()
        job = Job(
            id=(name * 12)[:12], project_id=project_id, created_by="key", name=name, dialect="openai",
            model="smollm2-135m", request={}, created_at=now, updated_at=now, phases={}, result_files=[],
            spec={"method": "reinforcement", "base_model": "smollm2-135m"},
            **{"state": "queued", "progress": {}, **values},
        )  # fmt: skip
        self.services.database.write(lambda session: session.add(job))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "home")
    with made.client:
        yield made


def test_the_head_is_told_where_things_are(world: World, tmp_path: Path) -> None:
    told = world.settings()
    assert told["home"]["path"] == str(tmp_path / "home")
    assert 0 < told["home"]["free_bytes"] <= told["home"]["total_bytes"]
    assert told["database"] == {
        "kind": "sqlite", "address": str(tmp_path / "home" / "tuneward.db"), "is_reachable": True
    }  # fmt: skip
    assert told["storage"] == {"kind": "s3", "place": "https://s3.example:9000/", "buckets": ["rows"]}
    assert told["judges"]["address"] == "https://judges.example/v1"
    assert told["tls"] == {"certificate": None, "ends_at": None}
    (model,) = told["models"]
    assert model["managed_id"] == "tuneward.smollm2-135m"
    assert model["aliases"] == ["amazon.nova-2-lite-v1:0:256k"]


def test_no_secret_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "hunter2")
    told = world.settings()
    assert told["judges"]["has_key"] is True
    assert "hunter2" not in world.client.get("/api/settings", headers={"authorization": "head"}).text


def test_other_administrators_are_told_nothing_of_the_machine_and_of_other_projects(
    world: World, tmp_path: Path
) -> None:
    lease = {"lease_owner": "host:12:abc", "lease_token": 1, "lease_expires_at": time.time() + 100}
    world.job(DEFAULT_PROJECT, "secret", state="running", progress={"step": 3, "total_steps": 9}, **lease)
    world.job(world.other.id, "ours", state="validating", **lease)
    told = world.settings("other")
    assert [told[part] for part in ("home", "database", "storage", "tls", "judges")] == [None] * 5
    text = world.client.get("/api/settings", headers={"authorization": "other"}).text
    assert str(tmp_path) not in text
    assert "judges" not in {one["key"].split(".")[0] for one in told["settings"]}
    assert "secret" not in text
    assert [task["job"] and task["job"]["name"] for task in told["workers"]["tasks"]] == [None, "ours"]
    assert told["workers"]["states"] == {"validating": 1}


def test_workers_are_told_by_what_they_hold(world: World) -> None:
    now = time.time()
    lease = {"lease_owner": "host:12:abc", "lease_token": 1}
    world.job(DEFAULT_PROJECT, "busy", state="running", progress={"step": 3, "total_steps": 9}, **lease,
              lease_expires_at=now + 100)  # fmt: skip
    world.job(DEFAULT_PROJECT, "lost", state="running", **lease, lease_expires_at=now - 1)
    world.job(DEFAULT_PROJECT, "waits")
    world.job(DEFAULT_PROJECT, "sleeps", state="paused")
    world.job(DEFAULT_PROJECT, "done", state="succeeded")
    slot = SlotLease(slot="host/cpu-0", job_id="busybusybusy", worker="host:12:abc", expires_at=now + 100)
    world.services.database.write(lambda session: session.add(slot))
    workers = world.settings()["workers"]
    (task,) = workers["tasks"]
    assert (task["host"], task["process"], task["slot"], task["state"]) == ("host", 12, "host/cpu-0", "running")
    assert (task["job"]["name"], task["job"]["step"], task["job"]["total_steps"]) == ("busy", 3, 9)
    assert workers["waiting"] == 2
    assert workers["states"] == {"running": 2, "queued": 1, "paused": 1}
    assert len(workers["slots"]) >= 1


def test_every_key_of_the_configuration_is_told_with_its_meaning(world: World) -> None:
    told = {one["key"]: one for one in world.settings()["settings"]}
    assert told["limits.active_jobs"]["value"] == 7
    assert told["limits.active_jobs"]["is_default"] is False
    assert told["limits.upload_bytes"]["is_default"] is True
    assert told["limits.active_jobs"]["meaning"] == "Jobs of one project that have not ended."
    documented = (Path(__file__).parents[2] / "docs" / "server-configuration.md").read_text()
    for key in told:
        assert f"`{key}`" in documented, key


def test_addresses_are_told_without_passwords() -> None:
    assert database_address("postgresql://me:pw@db.example:5433/tuneward?password=pw") == "db.example:5433/tuneward"
    assert database_address("postgresql:///tuneward") == "localhost/tuneward"
    assert without_password("https://u:p@h:1/x?k=p#p") == "https://h:1/x"
    (told,) = [one for one in settings_of(ServerConfig(database="postgresql://me:pw@db/t")) if one.key == "database"]
    assert told.value == "db/t"


def test_libraries_are_told_with_their_licences(world: World) -> None:
    told = {one["name"].lower(): one for one in world.settings()["libraries"]}
    assert told["fastapi"]["version"]
    assert "MIT" in told["fastapi"]["licence"]
