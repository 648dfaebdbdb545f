"""Rows of a job for the playground, its grader for answers, and files with one more row."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.data import read_rows, split_holdout
from tuneward.jobs.job_rows import PAGE_BYTES
from tuneward.jobs.places import job_home
from tuneward.rewards.functions.archive import pack_file
from tuneward.serve.services import Services
from tuneward.store.ids import new_id
from tuneward.store.tables import File, Job

CODE = b"""
def lambda_handler(event, context):
    print("graded", len(event))
    return [
        {
            "id": sample["id"],
            "aggregate_reward_score": float(sample["messages"][-1]["content"] == sample["reference_answer"]),
            "metrics_list": [{"name": "exact", "value": 1.0, "type": "Reward"}],
        }
        for sample in event
    ]
"""
EXACT = {
    "openai": {
        "type": "string_check", "name": "exact", "operation": "eq",
        "input": "{{sample.output_text}}", "reference": "{{item.reference_answer}}",
    }
}  # fmt: skip


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"{number} + 1?"}], "reference_answer": str(number + 1), **more}


class World:
    """A server, and jobs with their rows as workers fetch them."""

    def __init__(self, client: TestClient, services: Services):
        self.client, self.services = client, services

    def job(
        self,
        train: list[Any],
        validation: list[Any] | None = None,
        *,
        reward: Any = EXACT,
        method: str = "reinforcement",
        **config: Any,
    ) -> str:
        now, job_id = time.time(), new_id()
        source = {"kind": "uri", "uri": "s3://a/b"}
        spec = {
            "method": method, "base_model": "smollm2-135m", "training": source, "config": {"reward": reward, **config},
            "validation": [source] if validation is not None else [],
        }  # fmt: skip
        job = Job(
            id=job_id, project_id=DEFAULT_PROJECT, created_by="key", name=f"job-{job_id}", state="succeeded",
            dialect="openai", model="smollm2-135m", spec=spec, request={}, created_at=now, updated_at=now, phases={},
            progress={}, result_files=[],
        )  # fmt: skip
        self.services.database.write(lambda session: session.add(job))
        for name, rows in (("train", train), ("validation", validation)):
            if rows:
                self.path(job_id, name).parent.mkdir(parents=True, exist_ok=True)
                self.path(job_id, name).write_text("".join(json.dumps(one) + "\n" for one in rows))
        return f"ftjob-{job_id}"

    def path(self, job_id: str, name: str) -> Path:
        home = job_home(self.services.home, DEFAULT_PROJECT, job_id.removeprefix("ftjob-"))
        return home / "inputs" / f"{name}.jsonl"

    def rows(self, job: str, **params: Any) -> Any:
        answer = self.client.get(f"/api/jobs/{job}/rows", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def all_rows(self, job: str, **params: Any) -> list[Any]:
        found, after = [], 0
        while after is not None:
            page = self.rows(job, after=after, **params)
            found += page["data"]
            after = page["next"]
        return found

    def grade(self, job: str, completions: list[str], **asked: Any) -> Any:
        return self.client.post("/api/grade", json={"job_id": job, "row": row(1), "completions": completions, **asked})

    def save(self, **body: Any) -> Any:
        return self.client.post("/api/rows", json=body)

    def lines(self, file_id: str) -> list[Any]:
        text = self.services.files.path(DEFAULT_PROJECT, file_id).read_text()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("TUNEWARD_FUNCTIONS", str(tmp_path / "functions"))
    app = app_with(tmp_path / "home")
    with TestClient(app) as client:
        yield World(client, app.state.services)


def test_rows_come_as_prompts_page_by_page(world: World) -> None:
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]
    job = world.job([row(0)], [row(number, tools=tools, level="easy") for number in range(5)])
    first = world.rows(job, limit=2)
    assert [one["line"] for one in first["data"]] == [1, 2]
    assert first["data"][0] == {
        "id": "row-1",
        "line": 1,
        "messages": [{"role": "user", "content": "0 + 1?"}],
        "reference_answer": "1",
        "tools": tools,
        "metadata": {"level": "easy"},
    }
    assert [one["line"] for one in world.all_rows(job, limit=2)] == [1, 2, 3, 4, 5]
    assert [one["line"] for one in world.all_rows(job, split="training")] == [1]


def test_a_job_without_validation_rows_shows_what_its_run_holds_out(world: World) -> None:
    job = world.job([row(number) for number in range(40)], data={"holdout_share": 0.25}, run={"seed": 3})
    train, held_out = split_holdout(read_rows(world.path(job, "train")), 0.25, 3)
    assert [one["line"] for one in world.all_rows(job, limit=3)] == [one.line for one in held_out]
    assert [one["line"] for one in world.all_rows(job, split="training")] == [one.line for one in train]
    assert len(held_out) == 10


def test_of_conversations_the_last_answer_is_the_reference(world: World) -> None:
    talk = [{"role": role, "content": text} for role, text in (("user", "Hi"), ("assistant", "Hello"))]
    more = [{"role": "user", "content": "Bye"}, {"role": "assistant", "content": "Good bye", "weight": 1}]
    job = world.job([{"messages": [*talk, *more]}], [{"messages": [*talk, *more]}], method="supervised")
    (one,) = world.rows(job)["data"]
    assert [message["content"] for message in one["messages"]] == ["Hi", "Hello", "Bye"]
    assert one["reference_answer"] == "Good bye"


def test_rows_are_found_by_what_they_say_in_any_case(world: World) -> None:
    said = [{"messages": [{"role": "user", "content": text}]} for text in ("The CAPITAL\nof France", "two", "three")]
    job = world.job([row(0)], [*said, row(7, id="seven")])
    assert [one["line"] for one in world.all_rows(job, search="capital\nOF")] == [1]
    assert [one["line"] for one in world.all_rows(job, search="Seven")] == [4]
    assert world.all_rows(job, search="messages") == []


def test_long_rows_make_short_pages(world: World) -> None:
    long = [{"messages": [{"role": "user", "content": "x" * (PAGE_BYTES // 2)}]} for _ in range(4)]
    job = world.job([row(0)], long)
    assert len(world.rows(job, limit=50)["data"]) < 4
    assert [one["line"] for one in world.all_rows(job, limit=50)] == [1, 2, 3, 4]


def test_rows_that_were_never_fetched_are_said_to_be(world: World) -> None:
    answer = world.client.get(f"/api/jobs/{world.job([])}/rows")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "rows_missing")


def test_lines_that_training_refused_are_left_out(world: World) -> None:
    job = world.job([row(0)], [row(1), {"messages": []}, row(2)])
    world.path(job, "validation").open("a").write("{no json\n\n" + json.dumps(row(3)) + "\n")
    assert [one["line"] for one in world.all_rows(job)] == [1, 3, 6]


def test_answers_are_graded_by_the_grader_of_the_job(world: World) -> None:
    answer = world.grade(world.job([row(0)]), ["2", "3"])
    assert answer.status_code == 200, answer.text
    scores = answer.json()["data"]
    assert [one["reward"] for one in scores] == [1.0, 0.0]
    assert scores[0]["receipt"]["verdict"] == "ok"
    assert scores[0]["receipt"]["grader"] == answer.json()["grader"]


def test_a_function_of_the_project_grades_with_its_receipts(world: World) -> None:
    registry = world.services.functions(DEFAULT_PROJECT)
    registry.create("exactly", pack_file("reward.py", CODE), handler="reward.lambda_handler")
    answer = world.grade(world.job([row(0)], reward={"function": "exactly", "isolation": "process"}), ["2", "no"])
    assert answer.status_code == 200, answer.text
    one, other = answer.json()["data"]
    assert (one["reward"], other["reward"]) == (1.0, 0.0)
    assert one["components"] == {"exact": 1.0}
    assert "graded 2" in one["receipt"]["stdout_tail"]
    assert one["receipt"]["isolation"] == "process"


def test_a_grader_that_fails_gives_no_reward_and_its_reason(world: World) -> None:
    registry = world.services.functions(DEFAULT_PROJECT)
    registry.create(
        "raises", pack_file("reward.py", b"def lambda_handler(event, context):\n    raise ValueError('<b>no</b>')\n"),
        handler="reward.lambda_handler",
    )  # fmt: skip
    job = world.job([row(0)], reward={"function": "raises", "isolation": "process", "retries": 0})
    (score,) = world.grade(job, ["2"]).json()["data"]
    assert score["reward"] is None
    assert score["receipt"]["verdict"] == "error"
    assert "<b>no</b>" in score["receipt"]["message"]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"completions": []}, "completions"),
        ({"completions": ["a"] * 9}, "completions"),
        ({"row": {"messages": []}}, "row"),
        ({"row": {"messages": [{"role": "user", "content": "x"}], "metadata": 3}}, "row"),
        ({"job_id": "ftjob-none"}, None),
        ({"other": 1}, "other"),
    ],
)
def test_what_cannot_be_graded_is_refused(world: World, asked: dict[str, Any], param: str | None) -> None:
    answer = world.grade(world.job([row(0)]), **{"completions": ["2"], **asked})
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["param"] == param


def test_jobs_without_a_usable_grader_say_so(world: World) -> None:
    supervised = world.grade(world.job([row(0)], method="supervised", reward=None), ["2"])
    assert (supervised.status_code, supervised.json()["error"]["code"]) == (400, "no_reward")
    gone = world.grade(world.job([row(0)], reward={"function": "deleted-since"}), ["2"])
    assert (gone.status_code, gone.json()["error"]["code"]) == (400, "grader_unavailable")
    assert "deleted-since" in gone.json()["error"]["message"]


def test_a_row_is_kept_behind_those_of_a_file_and_the_file_stays_as_it_is(world: World) -> None:
    first = world.save(row=row(0), filename="mine.jsonl").json()
    second = world.save(row=row(1), file_id=first["id"]).json()
    assert (first["rows"], second["rows"]) == (1, 2)
    assert (second["filename"], second["is_new"]) == ("mine.jsonl", True)
    assert world.lines(first["id"]) == [row(0)]
    assert world.lines(second["id"]) == [row(0), row(1)]
    assert [one.reference_answer for one in read_rows_of(world, second["id"])] == ["1", "2"]


def read_rows_of(world: World, file_id: str) -> list[Any]:
    copy = world.services.home / "copy.jsonl"
    copy.write_bytes(world.services.files.path(DEFAULT_PROJECT, file_id).read_bytes())
    return read_rows(copy)


def test_a_file_without_a_last_line_end_is_continued_on_a_new_line(world: World) -> None:
    content = json.dumps(row(0)).encode() + b"\r\n\n" + json.dumps(row(1)).encode()
    file = world.services.files.add(DEFAULT_PROJECT, purpose="fine-tune", filename="a.jsonl", content=[content])
    assert world.lines(world.save(row=row(2), file_id=file.id).json()["id"]) == [row(0), row(1), row(2)]


def test_the_same_row_at_the_same_place_is_kept_once(world: World) -> None:
    file = world.save(row=row(0)).json()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: world.save(row=row(1), file_id=file["id"]).json(), range(8)))
    assert len({answer["id"] for answer in answers}) == 1
    assert sum(answer["is_new"] for answer in answers) == 1
    count = world.services.database.read(lambda session: session.query(File).count())
    assert count == 2
    stored = world.services.home / "projects" / DEFAULT_PROJECT / "files"
    assert len(list(stored.iterdir())) == 2


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"row": {"messages": [{"role": "agent", "content": "x"}]}}, "row.messages[0].role"),
        ({"row": {}}, "row.messages"),
        ({"row": row(0, id="")}, "row.id"),
        ({"row": row(0), "file_id": "file-none"}, "file_id"),
        ({"row": row(0), "file_id": "é"}, "file_id"),
        ({"row": row(0), "filename": "rows.txt"}, "file"),
        ({"row": row(0), "filename": "a\nb.jsonl"}, "file"),
    ],
)
def test_a_row_that_training_would_refuse_is_not_kept(world: World, body: dict[str, Any], param: str) -> None:
    answer = world.save(**body)
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error"]["param"] == param
    assert world.services.files.list(DEFAULT_PROJECT).items == []


def test_an_id_stands_once_in_a_file(world: World) -> None:
    file = world.save(row=row(0, id="one")).json()
    refused = world.save(row=row(1, id="one"), file_id=file["id"])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "row.id")
    assert world.save(row=row(1, id="two"), file_id=file["id"]).json()["rows"] == 2


def test_what_training_would_warn_of_is_told(world: World) -> None:
    asked = {"messages": [*row(0)["messages"], {"role": "assistant", "content": "1"}]}
    (problem,) = world.save(row=asked).json()["problems"]
    assert problem["field"] == "messages[1].role"
    assert "reference_answer" in problem["fix"]
