"""Tuned models and deployments as the console lists them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.serve.bedrock_rows import add_model
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.accounts.projects import create_project
from tuneward.config import ServedModelConfig, ServerConfig
from tuneward.jobs.service import add_event
from tuneward.serve.services import Services
from tuneward.store.tables import Checkpoint, Job

RECORDS = [
    {"kind": "evaluation", "step": 0, "reward_mean": 0.25, "loss": 2.0},
    {"kind": "step", "step": 1, "reward_mean": 0.3},
    {"kind": "evaluation", "step": 1, "reward_mean": 0.75, "loss": 1.5},
]


class World:
    """A server without workers, and jobs as workers leave them."""

    def __init__(self, client: TestClient, services: Services):
        self.client, self.services = client, services

    def get(self, path: str, **params: Any) -> Any:
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def job(self, name: str, *, method: str = "reinforcement", records: Any = RECORDS) -> Job:
        now = time.time()
        spec = {"method": method, "base_model": "smollm2-135m", "training": {"kind": "uri", "uri": "s3://a/b"}}
        job = Job(
            id=(name * 12)[:12], project_id=DEFAULT_PROJECT, created_by="key", name=name, state="succeeded",
            dialect="openai", model="smollm2-135m", spec=spec, request={}, created_at=now, updated_at=now, phases={},
            progress={}, result_files=[],
        )  # fmt: skip

        def work(session: Session) -> None:
            session.add(job)
            session.flush()
            for record in records:
                add_event(session, job, record["kind"], "", kind="metrics", data=record)
            session.add(
                Checkpoint(
                    id=f"ftckpt_{job.id}", job_id=job.id, project_id=DEFAULT_PROJECT, step=1, model_name=f"{name}:ckpt",
                    adapter="x", metrics={"train": None, "validation": records[-1] if records else None},
                    created_at=now,
                )
            )  # fmt: skip

        self.services.database.write(work)
        return job


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    config = ServerConfig(models=(ServedModelConfig(name="smollm2-135m"),))
    app = app_with(tmp_path, config=config)
    with TestClient(app) as client:
        yield World(client, app.state.services)


def test_a_model_tells_what_it_gained_who_made_it_and_where_it_is_deployed(world: World) -> None:
    job = world.job("maths")
    model = add_model(world.services, "sums", job=job)
    first = world.services.deployments.create(DEFAULT_PROJECT, "first", "sums")
    world.services.deployments.create(DEFAULT_PROJECT, "second", "sums")
    (told,) = world.get("/api/models")["data"]
    assert told["name"] == model.name
    assert told["custom_name"] == "sums"
    assert told["arn"].endswith(f":custom-model/tuneward.smollm2-135m/{model.id}")
    assert told["base"]["id"] == "smollm2-135m"
    assert told["job"] == {"id": job.id, "name": "maths", "method": "reinforcement"}
    assert told["validation"] == {"measure": "reward", "base": 0.25, "tuned": 0.75}
    assert told["bytes"] > 0
    assert told["is_loaded"] is False
    assert [one["name"] for one in told["deployments"]] == ["second", "first"]
    assert told["deployments"][1]["arn"].endswith(f"/{first.id}")


def test_supervised_models_tell_their_losses_and_others_nothing_they_do_not_know(world: World) -> None:
    add_model(world.services, "taught", job=world.job("taught", method="supervised"))
    add_model(world.services, "brought")
    add_model(world.services, "unmeasured", job=world.job("bare", records=[]))
    told = {one["custom_name"]: one for one in world.get("/api/models")["data"]}
    assert told["taught"]["validation"] == {"measure": "loss", "base": 2.0, "tuned": 1.5}
    assert (told["brought"]["job"], told["brought"]["validation"]) == (None, None)
    assert told["unmeasured"]["validation"] is None


def test_models_come_in_pages_that_hold_when_one_is_deleted(world: World) -> None:
    for number in range(5):
        add_model(world.services, f"m{number}")
    first = world.get("/api/models", limit=2)
    assert [one["custom_name"] for one in first["data"]] == ["m4", "m3"]
    world.services.models.delete(DEFAULT_PROJECT, "m3")
    second = world.get("/api/models", limit=2, after=first["next"])
    third = world.get("/api/models", limit=2, after=second["next"])
    assert [one["custom_name"] for one in (*second["data"], *third["data"])] == ["m2", "m1", "m0"]
    assert third["next"] is None


def test_models_are_found_by_any_name_in_any_case(world: World) -> None:
    sums = add_model(world.services, "Sums_100%")
    add_model(world.services, "words")
    for search in ("sums", "SUMS_100%", sums.name[-8:]):
        assert [one["custom_name"] for one in world.get("/api/models", search=search)["data"]] == ["Sums_100%"]
    assert len(world.get("/api/models", search="smollm2")["data"]) == 2
    assert world.get("/api/models", search="s_ms")["data"] == []


def test_a_deployment_tells_what_is_behind_it_and_its_last_swap(world: World) -> None:
    add_model(world.services, "one")
    two = add_model(world.services, "two")
    deployed = world.services.deployments.create(DEFAULT_PROJECT, "live", "one", description="For the help desk")
    world.services.deployments.update(DEFAULT_PROJECT, "live", "two")
    (told,) = world.get("/api/deployments", search="HELP")["data"]
    assert (told["id"], told["name"], told["status"]) == (deployed.id, "live", "Active")
    assert told["model"]["name"] == two.name
    assert told["last_swap"]["model"]["custom_name"] == "two"
    assert told["last_swap"]["status"] == "UpdateCompleted"
    assert world.get("/api/deployments", search="nothing") == {"data": [], "next": None}


def test_a_swap_to_a_broken_adapter_says_why_and_keeps_the_old_model(world: World) -> None:
    add_model(world.services, "good")
    broken = add_model(world.services, "broken")
    (world.services.home / broken.adapter / "adapter_model.safetensors").unlink()
    world.services.deployments.create(DEFAULT_PROJECT, "live", "good")
    world.services.deployments.update(DEFAULT_PROJECT, "live", "broken")
    (told,) = world.get("/api/deployments")["data"]
    assert told["model"]["custom_name"] == "good"
    assert told["last_swap"] == {"model": told["last_swap"]["model"], "status": "UpdateFailed"}
    assert "cannot be read" in told["failure"]
    (missing,) = world.get("/api/models", search="broken")["data"]
    assert missing["bytes"] is None


def test_another_projects_models_and_deployments_are_not_listed(world: World) -> None:
    other = create_project(world.services.database, "other")
    add_model(world.services, "theirs", project_id=other.id)
    world.services.deployments.create(other.id, "theirs", "theirs")
    assert world.get("/api/models")["data"] == []
    assert world.get("/api/deployments")["data"] == []


@pytest.mark.parametrize("cursor", ["", "x", "bmFuLw", "aW5mL2E", "////", "MS4wL8Op", "é"])
def test_a_cursor_that_no_page_gave_is_refused(world: World, cursor: str) -> None:
    for path in ("/api/models", "/api/deployments"):
        answer = world.client.get(path, params={"after": cursor})
        assert answer.status_code == 400, (path, answer.text)
        assert answer.json()["error"]["param"] == "after"


def test_a_page_of_models_costs_as_many_queries_as_one_model(world: World) -> None:
    counted: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        counted.append(statement)

    add_model(world.services, "m0", job=world.job("a"))
    world.get("/api/models")  # connections say more at first
    event.listen(world.services.database.engine, "before_cursor_execute", count)
    world.get("/api/models")
    one = len(counted)
    for name in "bcdefg":
        add_model(world.services, name, job=world.job(name))
    counted.clear()
    assert len(world.get("/api/models")["data"]) == 7
    assert len(counted) == one
