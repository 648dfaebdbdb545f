"""One job in full: `/api/jobs/{job_id}`, its configuration, its rows, its request, and steering it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy.orm import Session
from tests.serve.job_folders import keep_job_folder, keep_run
from tests.serve.job_rows import EXACT, World, reinforcement, world

from tuneward.jobs.remedies import REMEDIES, remedy
from tuneward.jobs.service import find_job
from tuneward.store.tables import Job

RESULT = {
    "run": "run", "model": "/srv/models/tiny", "base": {"exact": 0.1, "reward": 0.25},
    "tuned": {"exact": 0.5, "reward": 0.75},
    "p_value": 0.01, "verdict": "On 4 validation rows the tuned model is better than the base model.", "steps": 20,
    "best_step": 10, "adapter_step": 10, "stopped_because": "all 20 steps are done", "is_complete": True,
    "train_seconds": 60.0, "total_seconds": 75.5, "memory": {"predicted_bytes": 2**30, "peak_memory_bytes": 2**29},
    "comparison": {"n": 4, "difference": 0.5, "interval_low": 0.2, "interval_high": 0.8, "verdict": "better"},
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("detail")) as server:
        yield server


def get(server: World, path: str) -> Any:
    answer = httpx.get(f"{server.url}/api/jobs/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def row_of(server: World, job: Any) -> Job:
    return server.services.database.read(lambda session: find_job(session, "proj_default", job.id))


def failed(server: World, **error: Any) -> Any:
    job = server.create()

    def work(_session: Session, row: Job) -> None:
        row.error = {"code": "invalid_training_file", "message": "It cannot be used.", "param": None} | error

    server.change(job, work)
    server.enter(job, "failed")
    return job


def test_a_new_job_is_told_with_its_sources_and_what_may_be_done(made: World) -> None:
    job = made.create(suffix="sums", metadata={"team": "maths"})
    found = get(made, job.id)
    assert (found["id"], found["state"], found["method"], found["suffix"]) == (
        job.id, "validating", "reinforcement", "sums",
    )  # fmt: skip
    assert found["actions"] == ["stop", "cancel"]
    assert found["training"]["filename"] == "train.jsonl"
    assert found["training"]["bytes"] > 0
    assert (found["validation_sources"], found["metadata"]) == ([], {"team": "maths"})
    assert (found["result"], found["failure"], found["tuned_model"], found["best_checkpoint"]) == (None,) * 4


def test_a_failure_has_every_bad_line_and_what_to_do(made: World) -> None:
    job = failed(made)
    keep_job_folder(made.services.home, row_of(made, job), bad_lines=30)
    failure = get(made, job.id)["failure"]
    assert failure["remedy"].startswith("Repair the lines")
    assert [problem["line"] for problem in failure["problems"]] == list(range(4, 24))
    assert failure["has_more_problems"]
    assert {problem["file"] for problem in failure["problems"]} == {"training"}
    lines: list[int] = []
    after: int | None = 0
    while after is not None:
        page = get(made, f"{job.id}/data/problems?limit=7&severity=error&after={after}")
        lines += [problem["line"] for problem in page["data"]]
        after = page["next"]
    assert lines == list(range(4, 34))


def test_a_failure_without_a_report_is_told_all_the_same(made: World) -> None:
    failure = get(made, failed(made, code="process_died", message="It died.").id)["failure"]
    assert (failure["message"], failure["problems"], failure["has_more_problems"]) == ("It died.", [], False)
    assert failure["remedy"] == REMEDIES["process_died"]
    assert remedy(None) == remedy("never heard of")


def test_the_data_report_has_counts_and_lengths(made: World) -> None:
    job = made.create()
    assert httpx.get(f"{made.url}/api/jobs/{job.id}/data").status_code == 404
    keep_job_folder(made.services.home, row_of(made, job), bad_lines=2)
    made.change(
        job, lambda _session, row: setattr(row, "progress", {"plan": {"training_rows": 2, "validation_rows": 1}})
    )
    found = get(made, f"{job.id}/data")
    assert (found["ok"], found["train"]["rows"], found["train"]["bad_lines"], found["validation"]) == (
        False,
        3,
        2,
        None,
    )
    assert found["train"]["prompt_tokens"]["histogram"][0]["prompts"] == 3
    assert found["split"] == {"training": 2, "validation": 1}
    assert any(count["code"] == "row_count" for count in found["counts"])


def test_a_result_has_the_comparison_and_no_paths(made: World) -> None:
    job = made.create()
    row = row_of(made, job)
    keep_run(keep_job_folder(made.services.home, row), config=row.spec["config"], result=RESULT)
    name = made.tune(job, step=10)
    found = get(made, job.id)
    assert found["result"]["comparison"]["difference"] == 0.5
    assert found["result"]["tuned"]["reward"] == 0.75
    assert (found["tuned_model"]["name"], found["tuned_model"]["step"], found["actions"]) == (name, 10, [])
    configuration = get(made, f"{job.id}/configuration")
    assert configuration["lineage"]["training_sha256"] == "cd" * 32
    assert configuration["lineage"]["weights"] == {"model.safetensors": "ab" * 32}
    assert (configuration["lineage"]["left_out_rows"], len(configuration["lineage"]["left_out"])) == (30, 20)
    for text in (json.dumps(found), json.dumps(configuration)):
        assert "/srv/" not in text
        assert str(made.services.home) not in text


def test_settings_say_what_differs_from_the_defaults(made: World) -> None:
    job = made.create(seed=7, method=reinforcement(hyperparameters={"batch_size": 4, "n_epochs": 1}))
    found = get(made, f"{job.id}/configuration")
    assert found["lineage"] is None
    settings = {
        f"{section['name']}.{setting['name']}": setting
        for section in found["sections"]
        for setting in section["settings"]
    }
    batch, epochs = settings["training.prompts_per_step"], settings["training.epochs"]
    assert (batch["value"], batch["default"], batch["is_changed"]) == (4, 8, True)
    assert (epochs["value"], epochs["default"], epochs["is_changed"]) == (1, 1, False)
    assert batch["description"] == "Prompts sampled in each step."
    assert settings["reward.openai"]["value"] == EXACT
    assert settings["data.train"]["value"] == made.train
    assert not {"run.root", "reward.connection", "rollout.url"} & set(settings)
    assert "prompts_per_step: 4" in found["changed_yaml"]
    assert "epochs" not in found["changed_yaml"]
    assert "epochs: 1" in found["yaml"]


def test_settings_that_are_wrong_are_shown_as_they_came(made: World) -> None:
    job = made.create()

    def work(_session: Session, row: Job) -> None:
        row.spec = {**row.spec, "config": {"training": {"epochs": -1}, "reward": {"template": "math_answer"}}}

    made.change(job, work)
    found = get(made, f"{job.id}/configuration")
    assert found["sections"] == []
    assert "epochs: -1" in found["yaml"]
    assert get(made, f"{job.id}/request")["config"]["training"] == {"epochs": -1}


def test_a_request_makes_the_same_job_again(made: World) -> None:
    job = made.create(seed=7, metadata={"a": "b"}, suffix="sums")
    request = get(made, f"{job.id}/request")
    assert request["training"] == {"kind": "file", "file_id": made.train}
    assert (request["config"]["run"], request["metadata"], request["suffix"]) == ({"seed": 7}, {"a": "b"}, "sums")
    assert "name" not in request
    answer = httpx.post(f"{made.url}/api/jobs", json=request)
    assert answer.status_code == 201, answer.text
    first, again = row_of(made, job).spec, get(made, f"{answer.json()['id']}/configuration")
    assert again["sections"] == get(made, f"{job.id}/configuration")["sections"]
    second = made.services.jobs.get("proj_default", answer.json()["id"]).spec
    assert (second["config"]["reward"], second["method"], second["suffix"]) == (
        first["config"]["reward"], first["method"], first["suffix"],
    )  # fmt: skip


def test_a_request_has_the_form_that_answers_are_asked_for(made: World) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    job = made.create(method=reinforcement(response_format=form))
    answer = httpx.post(f"{made.url}/api/jobs", json=get(made, f"{job.id}/request"))
    assert answer.status_code == 201, answer.text
    again = made.services.jobs.get("proj_default", answer.json()["id"])
    assert again.spec["response_format"] == row_of(made, job).spec["response_format"]


def test_a_request_has_a_name_that_is_free(made: World) -> None:
    names = []
    job = made.create()
    made.change(job, lambda _session, row: setattr(row, "name", "sums"))
    for _ in range(2):
        request = get(made, "sums/request")
        names.append(request["name"])
        assert httpx.post(f"{made.url}/api/jobs", json=request).status_code == 201
    assert names == ["sums-2", "sums-3"]
    assert get(made, "sums-3/request")["name"] == "sums-4"


def test_a_job_is_paused_resumed_stopped_and_cancelled(made: World) -> None:
    job = made.create()
    made.enter(job, "queued")

    def act(action: str) -> Any:
        return httpx.post(f"{made.url}/api/jobs/{job.id}/{action}")

    assert act("pause").json()["state"] == "paused"
    assert act("pause").json()["error"]["code"] == "job_state"
    assert act("resume").json()["actions"] == ["pause", "stop", "cancel"]
    assert act("stop").json()["state"] == "stopped"
    assert act("cancel").status_code == 400
