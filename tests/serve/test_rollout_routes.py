"""What is told of a job's rollouts and of its validation answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.kept_rollouts import keep_rollouts, text_of
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.jobs.places import job_home
from tuneward.jobs.service import NewJob
from tuneward.jobs.spec import JobSpec, UriSource

SPEC = JobSpec(method="reinforcement", base_model="tiny", training=UriSource(uri="s3://a/b"))
HOSTILE = '<img src=x onerror=alert(1)>"&\u2028'


class Job:
    """A job of a server, with a run folder that a test fills."""

    def __init__(self, client: TestClient, home: Path):
        self._client = client
        services = client.app.state.services  # type: ignore[attr-defined]
        principal = Principal("key_test", DEFAULT_PROJECT, "000000000000", "developer")
        self.id = services.jobs.create(principal, NewJob("openai", "tiny", SPEC, {})).id
        self.run = job_home(home, DEFAULT_PROJECT, self.id) / "run"

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = self._client.get(f"/api/jobs/ftjob-{self.id}/{path}", params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    def evaluated(self, step: int, rewards: dict[str, float | None], text: str = "answer") -> None:
        folder = self.run / "evaluations"
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {"id": row, "reward": reward, "text": f"{text} {row}", "completion_tokens": 3, "finish_reason": "stop"}
            for row, reward in rewards.items()
        ]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"step-{step:06d}.jsonl").write_text(lines)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    with TestClient(app_with(tmp_path / "home")) as client:
        yield Job(client, tmp_path / "home")


def test_a_job_that_has_not_begun_has_nothing_to_show(job: Job) -> None:
    assert job.get("rollouts") == {"step": None, "data": [], "next": None}
    assert job.get("rollouts/steps") == {"data": [], "count": 0}
    assert job.get("rollouts/history", row="row-0") == {"data": [], "next": None}
    found = job.get("evaluations")
    assert (found["steps"], found["step"], found["data"]) == ([], None, [])
    assert "step 3" in job.get("rollouts", 404, step=3)["error"]["message"]
    assert job.get("rollouts/group", 404, step=1, row="row-0")["error"]["param"] == "row"
    assert job.get("evaluations", 404, step=2)["error"]["param"] == "step"


def test_the_newest_step_is_shown_unless_another_is_asked_for(job: Job) -> None:
    keep_rollouts(job.run / "rollouts.db", steps=3)
    found = job.get("rollouts")
    assert (found["step"]["step"], found["step"]["previous"], found["step"]["next"]) == (3, 2, None)
    assert [group["rewards"] for group in found["data"]] == [[0.0, 0.0, 0.0], [0.1, 0.1, None]]
    assert job.get("rollouts", step=0)["step"]["next"] == 1
    assert [step["step"] for step in job.get("rollouts/steps")["data"]] == [0, 1, 2, 3]


def test_pages_follow_one_another(job: Job) -> None:
    keep_rollouts(job.run / "rollouts.db", steps=1, rows=5)
    first = job.get("rollouts", step=1, limit=3, sort="reward")
    rest = job.get("rollouts", step=1, limit=3, sort="reward", after=first["next"])
    assert rest["next"] is None
    means = [group["reward_mean"] for group in first["data"] + rest["data"]]
    assert means == sorted(means, reverse=True)
    assert len(means) == 5
    group = job.get("rollouts/group", step=1, row="row-0", limit=2)
    assert job.get("rollouts/group", step=1, row="row-0", after=group["next"])["data"][0]["index"] == 2
    history = job.get("rollouts/history", row="row-0", limit=1)
    assert job.get("rollouts/history", row="row-0", after=history["next"])["data"][0]["step"] == 1


def test_tokens_come_only_when_they_are_asked_for(job: Job) -> None:
    keep_rollouts(job.run / "rollouts.db", steps=1)
    plain = job.get("rollouts/group", step=1, row="row-1")["data"][0]
    assert (plain["pieces"], plain["logprobs"], plain["receipt"]["grader"]) == (None, None, "reward.py@1a2b3c4d")
    colored = job.get("rollouts/group", step=1, row="row-1", tokens=True)["data"][0]
    assert "".join(colored["pieces"]) == colored["text"] == text_of(1, 1, 0)
    assert len(colored["logprobs"]) == colored["tokens"]


@pytest.mark.parametrize("row", ["../../secret", "a/b", "ü\n", "%00", "x" * 1000])
def test_rows_may_have_any_name(job: Job, row: str) -> None:
    keep_rollouts(job.run / "rollouts.db", steps=1)
    job.get("rollouts/group", 404, step=1, row=row)
    assert job.get("rollouts/history", row=row)["data"] == []
    assert job.get("rollouts", step=1, search=row[:200])["data"] == []


def test_validation_answers_stand_beside_those_of_the_base_model(job: Job) -> None:
    keep_rollouts(job.run / "rollouts.db", steps=1)
    job.evaluated(0, {"row-100": 0.5, "row-101": 0.5, "row-102": None, "row-103": 0.0}, "before")
    job.evaluated(4, {"row-100": 0.25, "row-101": 1.0, "row-102": 1.0, "row-103": 0.0, "new": 1.0}, HOSTILE)
    found = job.get("evaluations", sort="gain")
    assert (found["steps"], found["step"], found["against"], found["rows"]) == ([0, 4], 4, 0, 5)
    assert (found["better"], found["worse"]) == (1, 1)
    assert (found["mean_before"], found["mean_after"]) == (pytest.approx(1 / 3), pytest.approx(0.65))
    assert [(row["row"], row["gain"]) for row in found["data"][:3]] == [
        ("row-101", 0.5), ("row-103", 0.0), ("row-100", -0.25),
    ]  # fmt: skip
    first = found["data"][0]
    assert (first["before"]["text"], first["after"]["text"]) == ("before row-101", f"{HOSTILE} row-101")
    assert (first["preview"], first["prompt"]["reference_answer"]) == ("What is 101 + 1?", "102")
    new = next(row for row in found["data"] if row["row"] == "new")
    assert (new["before"], new["prompt"], new["gain"]) == (None, None, None)


def test_validation_answers_are_sorted_searched_and_paged(job: Job) -> None:
    job.evaluated(0, {f"row-{number}": 0.0 for number in range(7)})
    job.evaluated(1, {f"row-{number}": number / 10 for number in range(7)}, "tuned")
    first = job.get("evaluations", sort="loss", limit=4)
    rest = job.get("evaluations", sort="loss", limit=4, after=first["next"])
    assert [row["row"] for row in first["data"] + rest["data"]] == [f"row-{number}" for number in range(7)]
    assert rest["next"] is None
    assert [row["row"] for row in job.get("evaluations", search="TUNED ROW-3")["data"]] == ["row-3"]
    assert job.get("evaluations", step=0, against=1, limit=1)["data"][0]["before"]["text"] == "tuned row-0"


def test_a_file_that_cannot_be_read_is_told_without_its_place(job: Job) -> None:
    job.run.mkdir(parents=True)
    (job.run / "rollouts.db").write_bytes(b"damaged" * 1000)
    message = job.get("rollouts", 400)["error"]["message"]
    assert "cannot be read" in message
    assert str(job.run) not in message
    job.evaluated(1, {"row": 1.0})
    (job.run / "evaluations" / "step-000001.jsonl").write_text("{torn")
    assert job.get("evaluations", 400)["error"]["code"] == "run_unreadable"
