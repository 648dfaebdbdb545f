"""Checkpoints of a job: their list, their adapters as archives that peft loads, and deploying one."""

from __future__ import annotations

import io
import shutil
import tracemalloc
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import peft
import pytest
import torch
from sqlalchemy import select
from tests.serve.job_folders import keep_adapter
from tests.serve.job_rows import World, world
from tests.serving import save_adapter
from transformers import AutoModelForCausalLM

from tuneward.jobs.adapter_archive import adapter_archive, archive_name
from tuneward.store.tables import Model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("checkpoints")) as server:
        yield server


def job_with(server: World, **rewards: float | None) -> Any:
    """A job with checkpoints: step_N → validation reward."""
    job = server.create()
    server.change(job, lambda _session, row: setattr(row, "progress", {"validations": {"base": 0.25}}))
    for name, reward in rewards.items():
        step = int(name.removeprefix("step_"))
        validation = None if reward is None else {"reward_mean": reward, "exact": reward / 2}
        server.checkpoint(job, step, train={"reward_mean": 0.5}, validation=validation)
        keep_adapter(folder(server, job, step))
    return job


def folder(server: World, job: Any, step: int) -> Path:
    return server.services.home / "adapters" / job.id.removeprefix("ftjob-") / f"step-{step}"


def get(server: World, path: str) -> Any:
    answer = httpx.get(f"{server.url}/api/jobs/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def deploy(server: World, job: Any, step: int, **body: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/api/jobs/{job.id}/checkpoints/{step}/deploy", json=body)


def models_of(server: World, job: Any) -> list[Model]:
    bare = job.id.removeprefix("ftjob-")
    return server.services.database.read(lambda session: list(session.scalars(select(Model).filter_by(job_id=bare))))


def test_checkpoints_come_page_by_page_with_what_they_gained(made: World) -> None:
    job = job_with(made, step_5=0.5, step_10=0.75, step_15=0.75, step_17=None)
    first = get(made, f"{job.id}/checkpoints?limit=3")
    assert [one["step"] for one in first["data"]] == [17, 15, 10]
    assert (first["metric"], first["base"], first["next"]) == ("reward", 0.25, 10)
    last = get(made, f"{job.id}/checkpoints?limit=3&after={first['next']}")
    assert ([one["step"] for one in last["data"]], last["next"]) == ([5], None)
    unmeasured, _, best = first["data"]
    assert (unmeasured["validation"], unmeasured["difference"], unmeasured["train"]) == (None, None, 0.5)
    assert (best["difference"], best["exact"], best["is_best"], best["is_result"]) == (0.5, 0.375, True, False)
    assert [one["is_best"] for one in (*first["data"], *last["data"])] == [False, False, True, False]
    assert best["bytes"] > 100
    assert len(best["sha256"]) == 64
    assert best["model_name"].endswith(":ckpt-step-10")


def test_of_losses_the_lowest_is_best(made: World) -> None:
    job = made.client.fine_tuning.jobs.create(model="tiny", training_file=made.train)
    for step, loss in ((5, 1.5), (10, 0.5)):
        made.checkpoint(job, step, train={"loss": 2.0}, validation={"loss": loss})
    found = get(made, f"{job.id}/checkpoints")
    assert found["metric"] == "loss"
    assert [(one["step"], one["train"], one["is_best"]) for one in found["data"]] == [(10, 2.0, True), (5, 2.0, False)]
    assert found["data"][0]["bytes"] is None  # its folder is not there


def test_an_adapter_is_an_archive_that_peft_loads(made: World, tiny_chat_model: Path, tmp_path: Path) -> None:
    job = job_with(made, step_5=0.5)
    made.change(job, lambda _session, row: setattr(row, "name", 'a "job"\r\n/../é'))
    shutil.rmtree(folder(made, job, 5))
    save_adapter(folder(made, job, 5), tiny_chat_model, seed=3)
    answer = httpx.get(f"{made.url}/api/jobs/{job.id}/checkpoints/5/adapter")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a-job-step-5.zip"
    assert answer.headers["content-type"] == "application/zip"
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(tmp_path)
    assert b"/tmp" not in (tmp_path / "a-job-step-5" / "adapter_config.json").read_bytes()
    base = AutoModelForCausalLM.from_pretrained(tiny_chat_model)
    loaded = peft.PeftModel.from_pretrained(base, str(tmp_path / "a-job-step-5"))
    original = peft.PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny_chat_model), str(folder(made, job, 5))
    )
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.equal(loaded(tokens).logits, original(tokens).logits)
    assert loaded.peft_config["default"].base_model_name_or_path == "tiny"


def test_an_archive_takes_little_memory_and_is_always_the_same(tmp_path: Path) -> None:
    keep_adapter(tmp_path)
    size = 64 * 2**20
    with (tmp_path / "adapter_model.safetensors").open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    sizes = [sum(len(piece) for piece in adapter_archive(tmp_path, "name", "tiny")) for _ in range(2)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sizes[0] == sizes[1] > size
    assert peak < size / 8


@pytest.mark.parametrize(("name", "expected"), [("", "adapter-step-1"), ("..", "adapter-step-1"), ("é/\0", "adapter-step-1"), ("a" * 500, "a" * 100 + "-step-1")])  # fmt: skip # noqa: E501
def test_the_name_of_an_archive_is_plain(name: str, expected: str) -> None:
    assert archive_name(name, 1) == expected


def test_what_is_not_there_is_said(made: World) -> None:
    job = job_with(made, step_5=0.5)
    shutil.rmtree(folder(made, job, 5))
    for path in ("5/adapter", "6/adapter"):
        answer = httpx.get(f"{made.url}/api/jobs/{job.id}/checkpoints/{path}")
        assert answer.status_code == 404, answer.text
    assert deploy(made, job, 6, name="six").status_code == 404
    for step in (-1, 10**30, "x"):
        assert httpx.get(f"{made.url}/api/jobs/{job.id}/checkpoints/{step}/adapter").status_code == 400


def test_a_deployed_checkpoint_is_a_model_of_its_own(made: World) -> None:
    job = job_with(made, step_5=0.5, step_10=0.75)
    answer = deploy(made, job, 5, name="early", description="the fifth step")
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "Active"
    again = deploy(made, job, 5, name="early").json()
    assert again["id"] == answer.json()["id"]
    assert deploy(made, job, 5, name="also-early").status_code == 201
    [model] = models_of(made, job)
    assert (model.name, model.step) == (answer.json()["model"], 5)
    card = next(one for one in get(made, f"{job.id}/checkpoints")["data"] if one["step"] == 5)
    assert sorted(card["deployments"]) == ["also-early", "early"]
    assert get(made, job.id)["tuned_model"] is None  # it is not what the job ended with


def test_a_name_that_serves_another_model_is_refused(made: World) -> None:
    job = job_with(made, step_5=0.5, step_10=0.75)
    assert deploy(made, job, 5, name="taken").status_code == 201
    refused = deploy(made, job, 10, name="taken")
    assert refused.status_code == 400
    assert "exists already" in refused.json()["error"]["message"]
    for name in ("", "a b", "x" * 64, "ft:a", "a\0"):
        assert deploy(made, job, 5, name=name).status_code == 400


def test_the_model_of_a_job_is_deployed_as_it_is(made: World) -> None:
    job = job_with(made, step_5=0.5)
    name = made.tune(job, step=5)

    def same_folder(session: Any, row: Any) -> None:
        session.get_one(Model, row.model_id).adapter = f"adapters/{row.id}/step-5"

    made.change(job, same_folder)
    assert deploy(made, job, 5, name="result").json()["model"] == name
    assert len(models_of(made, job)) == 1
    found = get(made, job.id)
    assert (found["tuned_model"]["deployments"], found["best_checkpoint"]) == (["result"], 5)
    assert get(made, f"{job.id}/checkpoints")["data"][0]["is_result"]


def test_two_who_deploy_at_once_make_one_model(made: World) -> None:
    job = job_with(made, step_5=0.5)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: deploy(made, job, 5, name=f"at-once-{number % 2}"), range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len(models_of(made, job)) == 1
