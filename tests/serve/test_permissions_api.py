"""Sharing checkpoints with other projects, with OpenAI's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from tests.serve.job_rows import World, world
from tests.serve.test_jobs_api import by_name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("permissions"), authenticate=by_name) as server:
        server.project("proj_other", "000000000077")
        for number in range(5):
            server.project(f"proj_{number}", f"00000000010{number}")
        yield server


@pytest.fixture
def checkpoint(made: World) -> str:
    return made.checkpoint(made.create(), 10)


def permissions(server: World, caller: str = "any") -> Any:
    return server.client.with_options(api_key=caller).fine_tuning.checkpoints.permissions


def test_a_permitted_project_may_use_a_checkpoint_until_it_is_taken_back(made: World, checkpoint: str) -> None:
    strangers = made.client.with_options(api_key="stranger")
    theirs = made.upload("theirs.jsonl", 3, project="proj_other")

    def build_on() -> Any:
        return strangers.fine_tuning.jobs.create(model=checkpoint, training_file=theirs)

    with pytest.raises(openai.NotFoundError):
        build_on()
    (granted,) = permissions(made).create(checkpoint, project_ids=["proj_other"]).data
    assert (granted.object, granted.project_id) == ("checkpoint.permission", "proj_other")
    assert granted.id.startswith("cp_")
    assert build_on().model == checkpoint
    gone = permissions(made).delete(granted.id, fine_tuned_model_checkpoint=checkpoint)
    assert (gone.id, gone.object, gone.deleted) == (granted.id, "checkpoint.permission", True)
    with pytest.raises(openai.NotFoundError):
        build_on()


def test_granting_twice_is_granting_once(made: World, checkpoint: str) -> None:
    first = permissions(made, "colleague").create(checkpoint, project_ids=["proj_0", "proj_1", "proj_0"]).data
    again = permissions(made).create(checkpoint, project_ids=["proj_1"]).data
    assert [found.project_id for found in first] == ["proj_0", "proj_1"]
    assert again[0].id == first[1].id


def test_permissions_are_listed_in_both_orders_page_by_page(made: World, checkpoint: str) -> None:
    wanted = [f"proj_{number}" for number in range(5)]
    for project in wanted:
        permissions(made).create(checkpoint, project_ids=[project])
    found = [entry.project_id for entry in permissions(made).list(checkpoint, limit=2)]
    assert found == wanted[::-1]
    assert [entry.project_id for entry in permissions(made).list(checkpoint, order="ascending", limit=2)] == wanted
    (only,) = permissions(made).list(checkpoint, project_id="proj_3").data
    assert only.project_id == "proj_3"
    assert permissions(made).retrieve(checkpoint).first_id is not None


def test_names_may_come_with_encoded_colons(made: World, checkpoint: str) -> None:
    path = checkpoint.replace(":", "%3A")
    url = f"{made.url}/v1/fine_tuning/checkpoints/{path}/permissions"
    answer = httpx.post(url, json={"project_ids": ["proj_2"]}, headers={"authorization": "Bearer any"})
    assert (answer.status_code, answer.json()["data"][0]["project_id"]) == (200, "proj_2")


def test_a_model_s_name_stands_for_the_checkpoint_it_was_made_from(made: World) -> None:
    job = made.create()
    made.checkpoint(job, 20)
    (granted,) = permissions(made).create(made.tune(job, step=20), project_ids=["proj_0"]).data
    assert granted.project_id == "proj_0"


def test_only_the_owner_grants_sees_and_takes_back(made: World, checkpoint: str) -> None:
    (granted,) = permissions(made).create(checkpoint, project_ids=["proj_other"]).data
    stranger = permissions(made, "stranger")
    calls: list[Callable[[], Any]] = [
        lambda: stranger.create(checkpoint, project_ids=["proj_other"]),
        lambda: stranger.list(checkpoint),
        lambda: stranger.delete(granted.id, fine_tuned_model_checkpoint=checkpoint),
        lambda: permissions(made).delete("cp_absent", fine_tuned_model_checkpoint=checkpoint),
    ]
    for call in calls:
        with pytest.raises(openai.NotFoundError):
            call()
    with pytest.raises(openai.PermissionDeniedError):
        permissions(made, "reader").create(checkpoint, project_ids=["proj_0"])


def test_a_project_that_is_not_there_is_named(made: World, checkpoint: str) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        permissions(made).create(checkpoint, project_ids=["proj_0", "proj_absent"])
    assert error.value.param == "project_ids[1]"
    assert permissions(made).list(checkpoint).data == []
