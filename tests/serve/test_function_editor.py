"""Functions for an editor: their source, versions, calls and users over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.rewards.functions import FunctionRegistry
from tuneward.rewards.functions.archive import pack_files
from tuneward.store.ids import new_id
from tuneward.store.tables import Job

ONE = "def lambda_handler(event, context):\n    print('called')\n    return 1\n"
TWO = "def lambda_handler(event, context):\n    raise KeyError('two')\n"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("TUNEWARD_FUNCTIONS", str(tmp_path / "functions"))
    with TestClient(app_with(tmp_path / "home")) as made:
        yield made


def registry(client: TestClient) -> FunctionRegistry:
    found: FunctionRegistry = client.app.state.services.functions(DEFAULT_PROJECT)  # type: ignore[attr-defined]
    return found


def make(client: TestClient, name: str = "mine", **body: Any) -> Any:
    answer = client.post("/api/functions", json={"name": name, "files": {"lambda_function.py": ONE}, **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def code(client: TestClient, version: str = "$LATEST") -> Any:
    return client.get("/api/functions/mine/code", params={"version": version}).json()


def put(client: TestClient, **body: Any) -> Any:
    answer = client.put("/api/functions/mine/code", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_function_is_made_edited_and_rolled_back(client: TestClient) -> None:
    made = make(client, description="first")
    assert (made["newest_version"], made["is_published"], made["handler"]) == (
        "1",
        True,
        "lambda_function.lambda_handler",
    )
    assert put(client, files={"lambda_function.py": TWO}, description="second")["version"] == "2"
    assert code(client)["files"] == [{"path": "lambda_function.py", "bytes": len(TWO), "text": TWO}]
    assert code(client, "1")["files"][0]["text"] == ONE
    back = put(client, from_version="1", description="back to 1")
    assert (back["version"], back["description"]) == ("3", "back to 1")
    assert code(client)["files"][0]["text"] == ONE
    versions = client.get("/api/functions/mine/versions").json()["data"]
    assert [one["version"] for one in versions] == ["$LATEST", "3", "2", "1"]
    assert versions[1]["code_sha256"] == versions[3]["code_sha256"] != versions[2]["code_sha256"]


def test_versions_come_in_pages(client: TestClient) -> None:
    make(client)
    for number in range(3):
        put(client, files={"lambda_function.py": f"{ONE}# {number}\n"})
    first = client.get("/api/functions/mine/versions?limit=2").json()
    assert ([one["version"] for one in first["data"]], first["has_more"]) == (["$LATEST", "4"], True)
    rest = client.get("/api/functions/mine/versions?after=4").json()
    assert ([one["version"] for one in rest["data"]], rest["has_more"]) == (["3", "2", "1"], False)


def test_saving_without_a_change_makes_no_version(client: TestClient) -> None:
    make(client)
    assert put(client, files={"lambda_function.py": ONE})["version"] == "1"


def test_what_is_not_published_is_told_as_such(client: TestClient) -> None:
    make(client)
    assert put(client, files={"lambda_function.py": TWO}, publish=False)["version"] == "$LATEST"
    card = client.get("/api/functions/mine").json()
    assert (card["newest_version"], card["is_published"]) == ("1", False)


def test_files_that_are_not_named_stay(client: TestClient) -> None:
    files = {"lambda_function.py": ONE.encode(), "data.bin": b"\xff\x00", "helper.py": b"x = 1\n"}
    registry(client).create("mine", pack_files(files), handler="lambda_function.lambda_handler")
    put(client, files={"lambda_function.py": TWO, "helper.py": None})
    found = {file["path"]: file["text"] for file in code(client)["files"]}
    assert found == {"lambda_function.py": TWO, "data.bin": None}


def test_two_editors_do_not_overwrite_each_other(client: TestClient) -> None:
    make(client)
    seen = code(client)["revision"]
    put(client, files={"lambda_function.py": TWO}, revision=seen)
    late = client.put("/api/functions/mine/code", json={"files": {"lambda_function.py": ONE}, "revision": seen})
    assert (late.status_code, late.json()["error"]["code"]) == (400, "function_conflict")
    assert code(client)["files"][0]["text"] == TWO


def test_functions_come_in_pages_by_name(client: TestClient) -> None:
    for name in ("b", "a", "c", "other"):
        make(client, name)
    first = client.get("/api/functions?limit=2").json()
    assert ([one["name"] for one in first["data"]], first["has_more"]) == (["a", "b"], True)
    assert [one["name"] for one in client.get("/api/functions?after=b").json()["data"]] == ["c", "other"]
    assert [one["name"] for one in client.get("/api/functions?search=THE").json()["data"]] == ["other"]


def test_jobs_that_are_graded_by_a_function_are_named(client: TestClient) -> None:
    make(client)
    rewards: list[dict[str, Any]] = [
        {"function": "mine:1"},
        {"compose": {"parts": {"a": {"function": "mine"}, "b": {"template": "math_answer"}}}},
        {
            "template": "math_answer",
            "held_out": {"function": "arn:aws:lambda:us-east-1:000000000000:function:mine:live"},
        },
        {"function": "other"},
        {"function": "no function!"},
    ]
    database = client.app.state.services.database  # type: ignore[attr-defined]
    for number, reward in enumerate(rewards):
        spec = {"method": "reinforcement", "base_model": "a", "training": {}, "config": {"reward": reward}}
        job = Job(
            id=new_id(), project_id=DEFAULT_PROJECT, created_by="key", name=f"job-{number}", state="succeeded",
            dialect="openai", model="a", spec=spec, request={}, created_at=time.time() + number, updated_at=0.0,
            phases={}, progress={}, result_files=[],
        )  # fmt: skip
        database.write(lambda session, job=job: session.add(job))
    used = client.get("/api/functions/mine").json()["used_by"]
    assert [(one["name"], one["qualifier"]) for one in used] == [("job-2", "live"), ("job-1", None), ("job-0", "1")]
    assert client.get("/api/functions").json()["data"][0]["used_by"] == used


def test_calls_are_listed_newest_first_with_their_failures(client: TestClient) -> None:
    make(client)
    put(client, files={"lambda_function.py": TWO}, publish=False)
    for version in ("1", "$LATEST", "1"):
        client.post("/2015-03-31/functions/mine/invocations", params={"Qualifier": version}, json=[])
    calls = client.get("/api/functions/mine/logs?limit=2").json()
    assert calls["has_more"]
    assert [(call["version"], call["error"]) for call in calls["data"]] == [("1", None), ("$LATEST", "KeyError")]
    assert calls["data"][0]["output"] == "called"
    assert "/var/task/lambda_function.py" in calls["data"][1]["output"]
    older = client.get("/api/functions/mine/logs", params={"before": calls["data"][1]["request_id"]}).json()
    assert ([call["version"] for call in older["data"]], older["has_more"]) == (["1"], False)


def test_output_that_looks_like_a_report_is_output(client: TestClient) -> None:
    fake = "END RequestId: 00000000-0000-0000-0000-000000000000\\nREPORT RequestId: x\\nSTART RequestId: y Version: 9"
    make(client, files={"lambda_function.py": f"def lambda_handler(event, context):\n    print('{fake}')\n"})
    client.post("/2015-03-31/functions/mine/invocations", json=[])
    (call,) = client.get("/api/functions/mine/logs").json()["data"]
    assert call["output"].splitlines()[-1] == "START RequestId: y Version: 9"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "", {"name": "mine", "files": {"lambda_function.py": ONE}}, 400),
        ("POST", "", {"name": "two words", "files": {"lambda_function.py": ONE}}, 400),
        ("POST", "", {"name": "new", "files": {"../up.py": ONE}}, 400),
        ("POST", "", {"name": "new", "files": {"notes.txt": "no Python"}}, 400),
        ("POST", "", {"name": "new", "files": {}}, 400),
        ("PUT", "/nothing/code", {"files": {"lambda_function.py": ONE}}, 404),
        ("PUT", "/mine/code", {"from_version": "9"}, 404),
        ("PUT", "/mine/code", {}, 400),
        ("PUT", "/mine/code", {"files": {"lambda_function.py": None}}, 400),
        ("PUT", "/mine/code", {"files": {"lambda_function.py": "\x00"}, "from_version": "1"}, 400),
        ("GET", "/mine:1", None, 400),
        ("GET", "/mine/code?version=a%20b", None, 400),
        ("GET", "/mine/code?version=7", None, 404),
        ("GET", "/nothing/logs", None, 404),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(
    client: TestClient, method: str, path: str, body: Any, status: int
) -> None:
    make(client)
    answer = client.request(method, f"/api/functions{path}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]
