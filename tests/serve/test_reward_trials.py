"""Trying a reward before a job: scores, receipts and findings over HTTP, whatever kind of reward it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.rewards.judge.server import ScriptedServer, verdict
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.config import ConnectionConfig
from tuneward.rewards.functions.archive import pack_file
from tuneward.serve.api import rewards
from tuneward.serve.services import Services

ROWS = [{"messages": [{"role": "user", "content": f"{n} + {n}?"}], "reference_answer": str(2 * n)} for n in range(1, 7)]
EXACT = """
def lambda_handler(event, context):
    print("scored", len(event))
    return [
        {"id": sample["id"], "aggregate_reward_score": float(
            sample["messages"][-1]["content"] == sample["metadata"]["reference_answer"]
            if "metadata" in sample and "reference_answer" in sample["metadata"]
            else sample["messages"][-1]["content"] == sample.get("reference_answer"))}
        for sample in event
    ]
"""
CONSTANT = """
def lambda_handler(event, context):
    return [{"id": sample["id"], "aggregate_reward_score": 1.0} for sample in event]
"""
BROKEN = "def lambda_handler(event, context):\n    raise ValueError('no idea')\n"
UNLOADABLE = "def lambda_handler(event, context)\n    return []\n"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("TUNEWARD_FUNCTIONS", str(tmp_path / "functions"))
    with TestClient(app_with(tmp_path / "home")) as made:
        yield made


def tried(client: TestClient, **body: Any) -> Any:
    answer = client.post("/api/rewards/test", json={"rows": ROWS, "checks": "none", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def services(client: TestClient) -> Services:
    found: Services = client.app.state.services  # type: ignore[attr-defined]
    return found


def test_code_that_is_not_saved_scores_answers_in_the_sandbox(client: TestClient) -> None:
    told = tried(client, code=EXACT, completions=[["2", "5"], ["4"]])
    assert [(one["row"], one["completion"], one["reward"]) for one in told["samples"]] == [
        (0, "2", 1), (0, "5", 0), (1, "4", 1),
    ]  # fmt: skip
    (receipt,) = told["receipts"]
    assert receipt["isolation"] == "sandbox"
    assert receipt["stdout"] == "scored 3\n"
    assert receipt["wall_ms"] > 0
    assert told["rows"][1] == {
        "id": "row-2",
        "prompt": "2 + 2?",
        "reference_answer": "4",
        "row": {"id": "row-2", **ROWS[1]},
    }
    again = tried(client, code=EXACT, rows=[row["row"] for row in told["rows"]], completions=[["2"]])
    assert again["samples"][0]["reward"] == 1
    assert services(client).functions(DEFAULT_PROJECT).names() == []


def test_without_completions_the_reference_and_an_empty_answer_are_scored(client: TestClient) -> None:
    told = tried(client, reward={"template": "math_answer"}, rows=ROWS[:2])
    assert [(one["completion"], one["reward"]) for one in told["samples"]] == [("2", 0.9), ("", 0), ("4", 0.9), ("", 0)]
    assert set(told["samples"][0]["components"]) == {"correct", "marked", "steps"}


def test_a_text_of_ones_own_is_scored_for_every_row(client: TestClient) -> None:
    told = tried(client, reward={"template": "math_answer"}, rows=ROWS[:2], answers=["empty"], texts=["#### 4"])
    assert [(one["completion"], one["reward"]) for one in told["samples"]] == [
        ("", 0), ("#### 4", 0.1), ("", 0), ("#### 4", 1),
    ]  # fmt: skip


def test_code_that_raises_is_told_with_its_traceback(client: TestClient) -> None:
    told = tried(client, code=BROKEN, completions=[["2"]])
    (sample,) = told["samples"]
    assert (sample["reward"], sample["verdict"]) == (None, "error")
    assert "no idea" in sample["message"]
    stderr = told["receipts"][sample["receipt"]]["stderr"]
    assert "/var/task/lambda_function.py" in stderr
    assert "tuneward-draft" not in stderr


def test_code_that_does_not_load_is_a_problem_with_its_line(client: TestClient) -> None:
    told = tried(client, code=UNLOADABLE)
    assert told["grader"] is None
    assert told["problem"].startswith("/var/task/lambda_function.py, line 1: ")
    assert told["samples"] == []


def test_a_constant_reward_is_found_out(client: TestClient) -> None:
    report = tried(client, code=CONSTANT, checks="quick")["report"]
    found = {one["check"]: one for one in report["checks"]}
    assert report["verdict"] == "warn"
    assert found["empty_answer"]["verdict"] == "warn"
    assert found["empty_answer"]["example"]["completion"] == ""
    assert found["resolution"]["verdict"] == "warn"


def test_all_checks_are_more_than_the_quick_ones(client: TestClient) -> None:
    quick, whole = (
        tried(client, reward={"template": "classification"}, checks=checks)["report"] for checks in ("quick", "all")
    )
    assert {"latency", "crash_containment"} <= {one["check"] for one in whole["checks"]}
    assert len(quick["checks"]) < len(whole["checks"])


def test_registered_functions_of_the_project_and_compositions_are_tried(client: TestClient) -> None:
    registry = services(client).functions(DEFAULT_PROJECT)
    registry.create("mine", pack_file("lambda_function.py", EXACT.encode()), handler="lambda_function.lambda_handler")
    parts = {"exact": {"function": "mine", "weight": 3}, "maths": {"template": "math_answer", "weight": 1}}
    told = tried(client, reward={"compose": {"parts": parts, "normalize": True}}, completions=[["2"]])
    (sample,) = told["samples"]
    assert sample["reward"] == pytest.approx((3 * 1 + 0.9) / 4)
    assert sample["components"]["exact"] == 1
    held_out = tried(client, reward={"function": "mine", "held_out": {"template": "math_answer"}}, completions=[["2"]])
    assert (held_out["samples"][0]["reward"], held_out["samples"][0]["held_out"]) == (1, 0.9)


def test_a_judge_with_a_rubric_of_ones_own_says_why(tmp_path: Path) -> None:
    rubric = "---\nname: brief\nscale: [0, 10]\n---\nIs it brief?\n{{response}}"
    judge = {"model": "any", "rubric_text": rubric, "votes": 1}
    with closing(ScriptedServer(lambda _: verdict(7, "short enough"))) as judging:
        connection = ConnectionConfig(url=judging.url)
        with TestClient(app_with(tmp_path, judges=connection)) as client:
            told = tried(client, reward={"judge": judge}, completions=[["2"]])
    (sample,) = told["samples"]
    assert sample["reward"] == pytest.approx(0.7)
    assert "short enough" in json.dumps(sample["details"])
    assert told["grader"].startswith("judge:brief@")
    assert "Is it brief?" in judging.requests[0].text()


def test_rows_come_from_an_uploaded_file(client: TestClient) -> None:
    content = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    file = services(client).files.add(DEFAULT_PROJECT, purpose="fine-tune", filename="a.jsonl", content=[content])
    source = {"kind": "file", "file_id": file.id}
    told = tried(client, rows=None, source=source, row_count=2, reward={"template": "math_answer"})
    assert [row["prompt"] for row in told["rows"]] == ["1 + 1?", "2 + 2?"]


def test_a_test_that_takes_too_long_is_ended(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewards, "LIMIT_S", 0.2)
    endless = "def lambda_handler(event, context):\n    while True: pass\n"
    told = tried(client, code=endless, completions=[["2"]], checks="quick")
    assert told["problem"].startswith("The test was ended after 0.2 s.")
    assert told["report"] is None


def test_no_more_than_a_few_tests_run_at_the_same_time(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewards, "_places", rewards.threading.BoundedSemaphore(1))
    with rewards._places:
        answer = client.post("/api/rewards/test", json={"rows": ROWS, "reward": {"template": "math_answer"}})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    tried(client, reward={"template": "math_answer"})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"reward": {"template": "nothing"}}, "reward.template"),
        ({"reward": {"function": "nothing"}}, "reward.function"),
        ({"reward": {"file": "/etc/passwd"}}, "reward.file"),
        ({"reward": {}}, "reward"),
        ({"reward": {"template": "math_answer"}, "rows": None}, "rows"),
        ({"reward": {"template": "math_answer"}, "rows": []}, "rows"),
        ({"reward": {"template": "math_answer"}, "rows": [{"messages": 1}]}, "rows[0].messages"),
        ({"reward": {"template": "math_answer"}, "completions": [["a"] * 64, ["a"]]}, "completions"),
        ({"reward": {"template": "math_answer"}, "completions": [["a"]] * 7}, "completions"),
        ({"reward": {"judge": {"model": "a", "rubric_text": "no place"}}}, "reward.judge.rubric_text"),
        ({"reward": {"judge": {"model": "a", "rubric_text": "---\na: 2026-13-45\n---\n{{response}}"}}},
         "reward.judge.rubric_text"),
        ({"reward": {"judge": {"model": "a", "rubric_text": "---\n" + "[" * 5000 + "\n---\n{{response}}"}}},
         "reward.judge.rubric_text"),
        ({"reward": {"function": "mine"}, "code": EXACT}, "reward.function"),
        ({"reward": {"template": "math_answer"}, "source": {"kind": "uri", "uri": "s3://bucket/key"}}, "rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_tried_is_refused_with_its_place(client: TestClient, body: Any, param: str) -> None:
    answer = client.post("/api/rewards/test", json={"rows": ROWS, **body})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param, answer.text


def test_odd_texts_come_back_as_something_that_any_client_can_read(client: TestClient) -> None:
    odd = "def lambda_handler(event, context):\n    raise ValueError('\\ud800 \\x00')\n"
    (sample,) = tried(client, code=odd, completions=[["2"]])["samples"]
    assert (sample["verdict"], sample["reward"]) == ("error", None)
    assert "ValueError" in sample["message"]


def test_the_library_says_what_there_is(client: TestClient) -> None:
    templates = {one["name"]: one for one in client.get("/api/reward-templates").json()["data"]}
    maths = templates["math_answer"]
    assert maths["row_fields"] == ["reference_answer"]
    assert "def lambda_handler(" in maths["source"]
    assert {"name": "MARKED", "value": "0.1", "meaning": "Score of a wrong answer that is marked as one."} in maths[
        "settings"
    ]
    rubrics = {one["name"]: one for one in client.get("/api/rubrics").json()["data"]}
    assert rubrics["tone"]["text"].startswith("---\nname: tone\n")
    assert "{{response}}" in rubrics["tone"]["text"]


def test_judges_are_told_without_addresses_and_keys(tmp_path: Path) -> None:
    connection = ConnectionConfig(
        url="http://judges.internal/v1", key_variable="SECRET_KEY", models={"gpt": "q", "*": "r"}
    )
    config = app_with(tmp_path / "a", judges=connection).state.services.config
    with TestClient(app_with(tmp_path / "b", config=config.model_copy(update={"judges": connection}))) as client:
        answer = client.get("/api/judges")
    assert answer.json()["data"] == [{"name": "gpt", "kind": "mapped"}]
    assert answer.json()["takes_any_name"]
    assert "internal" not in answer.text
    assert "SECRET" not in answer.text
