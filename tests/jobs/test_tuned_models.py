"""Tuned models, deployments and tags in the store, in both databases."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.accounts.projects import ensure_default_project
from tuneward.jobs.deployments import DeploymentQuery, DeploymentService
from tuneward.jobs.models import Mark, ModelQuery, ModelService
from tuneward.jobs.problems import ConflictError, ObjectNotFoundError
from tuneward.jobs.service import JobService, NewJob
from tuneward.jobs.spec import FileSource, JobSpec
from tuneward.jobs.tags import drop_tags, find_tagged, put_tags, tags_under
from tuneward.store.database import Database
from tuneward.store.tables import Model

P = DEFAULT_PROJECT


@pytest.fixture
def home(database: Database, tmp_path: Path) -> Path:
    ensure_default_project(database)
    return tmp_path / "home"


def add(database: Database, home: Path, name: str, *, created_at: float | None = None) -> Model:
    folder = home / name
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": 1}))
    save_file({"x.lora_A.weight": numpy.zeros(1)}, folder / "adapter_model.safetensors")
    model = Model(
        id=f"{name:a<12}",
        project_id=P,
        job_id=None,
        name=f"ft:base:{name}",
        custom_name=name,
        base_model="base",
        step=1,
        adapter=name,
        created_at=created_at or time.time(),
    )
    database.write(lambda session: session.add(model))
    return model


def test_pages_of_models_made_at_one_moment_hold_each_once(database: Database, home: Path) -> None:
    service = ModelService(database, home)
    for name in ("a", "b", "c"):
        add(database, home, name, created_at=5.0)
    for is_reversed in (False, True):
        seen, after = [], None
        while True:
            page = service.list(P, ModelQuery(limit=2, after=after, oldest_first=not is_reversed))
            seen += [model.custom_name for model in page.items]
            after = Mark.after(page)
            if after is None:
                break
        assert seen == sorted("abc", reverse=is_reversed)


def test_a_name_with_wildcards_finds_itself_alone(database: Database, home: Path) -> None:
    service = ModelService(database, home)
    for name in ("a_b", "axb"):
        add(database, home, name)
    assert [model.custom_name for model in service.list(P, ModelQuery(name_contains="_")).items] == ["a_b"]


def test_a_deployment_lives_from_its_making_to_its_end(database: Database, home: Path) -> None:
    add(database, home, "one")
    two = add(database, home, "two")
    service, models = DeploymentService(database, home), ModelService(database, home)
    made = service.create(P, "chat", "one", token="t")
    assert service.create(P, "chat", "one", token="t").id == made.id
    with pytest.raises(ConflictError):
        service.create(P, "chat", "one", token="u")
    assert service.update(P, "chat", "ft:base:two").model_id == two.id
    assert [found.id for found in service.list(P, DeploymentQuery(model_id=two.id, status="Active")).items] == [made.id]
    with pytest.raises(ConflictError):
        models.delete(P, "two")
    service.delete(P, made.id)
    models.delete(P, "two")
    assert not (home / "two").exists()
    with pytest.raises(ObjectNotFoundError):
        service.get(P, "chat")
    # The token outlives what it made; used again, it makes a new one.
    assert service.create(P, "chat", "one", token="t").id != made.id


def test_many_who_deploy_at_once_under_one_token_get_one_deployment(database: Database, home: Path) -> None:
    add(database, home, "one")
    service, gate = DeploymentService(database, home), threading.Barrier(6)

    def deploy(number: int) -> str:
        gate.wait()
        return service.create(P, f"chat-{number // 3}", "one", token=f"t-{number // 3}").id

    with ThreadPoolExecutor(6) as pool:
        ids = list(pool.map(deploy, range(6)))
    assert len(set(ids[:3])) == len(set(ids[3:])) == 1
    assert len(service.list(P, DeploymentQuery()).items) == 2


def test_a_job_that_starts_from_a_model_keeps_it(database: Database, home: Path) -> None:
    model = add(database, home, "start")
    spec = JobSpec(
        method="reinforcement", base_model="base", training=FileSource(file_id="f"), start_from=model.adapter
    )
    caller = Principal("key", P, "000000000000", "admin")
    JobService(database).create(caller, NewJob(dialect="openai", model="base", spec=spec, request={}, name="job"))
    with pytest.raises(ConflictError, match="job"):
        ModelService(database, home).delete(P, "start")


def test_tags_go_with_what_they_are_on(database: Database, home: Path) -> None:
    model = add(database, home, "tagged")

    def key() -> str:
        return database.read(lambda session: find_tagged(session, P, "custom-model", model.id))

    name = key()
    database.write(lambda session: put_tags(session, name, {"a": "1", "b": "2"}))
    database.write(lambda session: put_tags(session, name, {"b": "3"}))
    database.write(lambda session: drop_tags(session, name, ["a"]))
    assert database.read(lambda session: tags_under(session, name)) == {"b": "3"}
    ModelService(database, home).delete(P, "tagged")
    assert database.read(lambda session: tags_under(session, name)) == {}
    with pytest.raises(ObjectNotFoundError):
        key()
