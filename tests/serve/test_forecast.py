"""`POST /api/forecast`: what a job would take, while it is being put together."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.conftest import write_rows
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.config import ServedModelConfig, ServerConfig, load_config
from tuneward.jobs.service import add_event
from tuneward.runs.foresee import foresee
from tuneward.serve.services import Services
from tuneward.store.ids import new_id
from tuneward.store.tables import Job, Project


class Place:
    """A server with one tiny model, and rows."""

    def __init__(self, home: Path, model: Path):
        config = ServerConfig(models=(ServedModelConfig(name=str(model), id="tiny"),))
        app = app_with(home, config=config)
        self.services: Services = app.state.services
        self.client = TestClient(app)
        self.folder = home
        self.rows = [
            {"messages": [{"role": "user", "content": "word " * (1 + i % 7)}], "reference_answer": str(i)}
            for i in range(50)
        ]
        write_rows(home / "train.jsonl", self.rows)
        self.file = self.upload((home / "train.jsonl").read_bytes())

    def upload(self, content: bytes, project: str = DEFAULT_PROJECT) -> dict[str, str]:
        file = self.services.files.add(project, purpose="fine-tune", filename="t.jsonl", content=[content])
        return {"kind": "file", "file_id": file.id}

    def ask(self, **body: Any) -> dict[str, Any]:
        answer = self.client.post("/api/forecast", json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def train_once(self, project: str, seconds_per_token: float, steps: int, length: float = 0.25) -> None:
        """A job that has trained, as its process leaves it."""
        now = time.time()

        def work(session: Session) -> None:
            spec = {
                "method": "reinforcement", "base_model": "tiny", "training": {"kind": "uri", "uri": "s3://a/b"},
                "config": {"training": {"max_completion_tokens": 100}},
            }  # fmt: skip
            job = Job(
                id=new_id(), project_id=project, created_by="key", name=new_id(), state="succeeded", model="tiny",
                dialect="tuneward", spec=spec, request={}, created_at=now, updated_at=now, started_at=now, phases={},
                progress={}, result_files=[],
            )  # fmt: skip
            session.add(job)
            session.flush()
            for step in range(1, steps + 1):
                record = {
                    "kind": "step", "step": step, "completion_tokens": 1000,
                    "completion_length_mean": 100 * length, "timing": {"seconds_step": 1000 * seconds_per_token},
                }  # fmt: skip
                add_event(session, job, "step", "", kind="metrics", data=record)

        self.services.database.write(work)


@pytest.fixture
def place(tmp_path: Path, tiny_chat_model: Path) -> Iterator[Place]:
    made = Place(tmp_path, tiny_chat_model)
    with made.client:
        yield made


def test_nothing_chosen_yet_is_told_with_what_is_assumed(place: Place) -> None:
    told = place.ask()
    assert told["model"] == "tiny"
    assert [text.split(":")[0] for text in told["assumptions"]] == [
        "No model is chosen yet", "No training data is chosen yet",
    ]  # fmt: skip
    assert told["work"]["train_rows"] == 900  # of 1,000, a tenth held out
    assert told["memory"]["fits"] == "yes"


def test_steps_and_tokens_follow_from_the_file_and_the_settings(place: Place) -> None:
    settings = {"training": {"epochs": 2, "prompts_per_step": 4, "samples_per_prompt": 6, "max_completion_tokens": 10}}
    told = place.ask(model="tiny", training=place.file, config=settings)
    # 50 rows, 5 of them held out: 11 whole steps a pass.
    assert (told["work"]["train_rows"], told["work"]["validation_rows"], told["work"]["steps"]) == (45, 5, 22)
    assert told["work"]["completions"] == 22 * 24
    assert told["work"]["trained_tokens"] == 22 * 24 * 5  # half of the limit where nothing is known
    assert told["work"]["evaluations"] == 1 + 3
    assert told["assumptions"] == []


def test_memory_is_what_a_plan_of_the_whole_job_says(place: Place, tiny_chat_model: Path) -> None:
    """But for the process itself, which is another one."""
    training = {"prompts_per_step": 4, "max_completion_tokens": 64, "token_budget": 300, "reuse_forward": False}
    told = place.ask(model="tiny", training=place.file, config={"training": training, "lora": {"r": 8}})
    tree = {
        "model": str(tiny_chat_model), "data": {"train": "train.jsonl", "max_prompt_length": 128},
        "reward": {"template": "math_answer"}, "training": training, "lora": {"r": 8},
    }  # fmt: skip
    (place.folder / "config.yaml").write_text(json.dumps(tree))
    plan = foresee(load_config(place.folder / "config.yaml")).memory
    own = "process and libraries"
    assert told["memory"]["peak_phase"] == plan.peak_phase
    parts = {part["name"]: part["bytes"] for part in told["memory"]["parts"] if part["name"] != own}
    assert parts == {name: count for name, count in plan.phases[plan.peak_phase].items() if name != own}


def test_each_change_that_is_offered_makes_the_job_fit(place: Place) -> None:
    config: dict[str, Any] = {
        "training": {"max_completion_tokens": 200, "samples_per_prompt": 256, "memory_gb": 0.4525}
    }
    told = place.ask(model="tiny", training=place.file, config=config)["memory"]
    assert (told["fits"], bool(told["problem"])) == ("no", True)
    assert {change["setting"] for change in told["changes"]} == {
        "training.samples_per_prompt", "training.max_completion_tokens",
    }  # fmt: skip
    for change in told["changes"]:
        section, field = change["setting"].split(".")
        changed = {section: config[section] | {field: change["value"]}}
        assert place.ask(model="tiny", training=place.file, config=changed)["memory"]["fits"] == "yes"


def test_earlier_jobs_of_the_project_are_the_best_basis_for_time(place: Place) -> None:
    config = {"training": {"prompts_per_step": 4, "samples_per_prompt": 6, "max_completion_tokens": 40}}
    reckoned = place.ask(model="tiny", training=place.file, config=config)["time"]
    assert not reckoned["is_measured"]
    assert 0 < reckoned["low_s"] < reckoned["job_s"] < reckoned["high_s"]
    place.train_once(DEFAULT_PROJECT, 0.002, steps=10)
    told = place.ask(model="tiny", training=place.file, config=config)
    time_ = told["time"]
    assert time_["is_measured"]
    assert "10 steps of the last job" in time_["basis"]
    # A quarter of the limit, as before: 10 tokens each, at 2 ms.
    assert told["work"]["step_tokens"] == 240
    assert time_["step_s"] == pytest.approx(0.48)
    validation = told["work"]["evaluations"] * told["work"]["validation_rows"] * 10
    assert time_["job_s"] == pytest.approx(0.002 * (told["work"]["steps"] * 240 + validation))


def test_jobs_of_other_projects_tell_nothing(place: Place) -> None:
    other = Project(id="proj_other", name="other", account_id="222222222222", created_at=0.0)
    place.services.database.write(lambda session: session.add(other))
    place.train_once("proj_other", 0.002, steps=10)
    assert not place.ask(model="tiny", training=place.file)["time"]["is_measured"]


def test_rows_elsewhere_are_reckoned_with_what_the_caller_knows_of_them(place: Place) -> None:
    source = {"kind": "uri", "uri": "s3://rows/train.jsonl"}
    told = place.ask(model="tiny", training=source)
    assert told["assumptions"][0].startswith("The training rows are not counted yet")
    known = {"training": 300, "longest_prompt": 20, "mean_prompt": 10}
    told = place.ask(model="tiny", training=source, rows=known)
    assert told["assumptions"] == []
    assert told["work"]["train_rows"] == 270
    told = place.ask(model="tiny", training=source, rows=known | {"validation": 30})["work"]
    assert (told["train_rows"], told["validation_rows"]) == (300, 30)  # split already


def test_supervised_jobs_are_reckoned_by_their_answers(place: Place) -> None:
    rows = [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "x" * (1 + i % 3)}]}
        for i in range(20)
    ]
    file = place.upload("".join(json.dumps(row) + "\n" for row in rows).encode())
    told = place.ask(model="tiny", method="supervised", training=file, config={"training": {"rows_per_step": 3}})
    assert (told["work"]["train_rows"], told["work"]["steps"]) == (18, 18)
    assert told["assumptions"] == []
    assert "completions" not in [part["name"] for part in told["disk"]["parts"]]


def test_a_file_without_rows_is_said_not_failed(place: Place) -> None:
    file = place.upload(b'{"messages": [{"role": "user", "content": "a"}]}\n')
    (place.services.files.path(DEFAULT_PROJECT, file["file_id"])).write_bytes(b"no json\n")
    told = place.ask(model="tiny", training=file)
    assert told["assumptions"][0].startswith("No row of")


def test_numbers_beyond_all_machines_are_said_not_failed(place: Place) -> None:
    most = 2**62
    told = place.ask(
        config={"training": {"max_completion_tokens": most, "prompts_per_step": most}, "lora": {"r": most}}
    )
    assert told["memory"]["fits"] == "no"


def test_what_is_wrong_is_refused(place: Place) -> None:
    for body, param in (
        ({"config": {"training": {"epochs": 99}}}, "config"),
        ({"training": {"kind": "file", "file_id": "file-absent"}}, "training.file_id"),
        ({"rows": {"training": 0}}, "rows.training"),
    ):
        answer = place.client.post("/api/forecast", json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
