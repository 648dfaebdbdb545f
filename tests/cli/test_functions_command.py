"""`tuneward functions`: from a file to a versioned function that is called, logged and deleted."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome

Cli = Callable[..., Outcome]

REWARD = """
import os

def lambda_handler(event, context):
    print("called", context.function_version, "\\x1b[2J")
    if event == "fail":
        raise ValueError("no such rule")
    return [{"id": item["id"], "aggregate_reward_score": float(os.environ.get("SCORE", "1"))} for item in event]
"""


@pytest.fixture
def reward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reward file; functions live in the test's folder and run without a sandbox where there is none."""
    monkeypatch.setenv("TUNEWARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TUNEWARD_ALLOW_UNISOLATED", "1")
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    file = tmp_path / "reward.py"
    file.write_text(REWARD)
    return file


@pytest.fixture
def event(tmp_path: Path) -> Path:
    file = tmp_path / "event.json"
    file.write_text('[{"id": "a"}, {"id": "b"}]')
    return file


def test_a_function_is_created_published_aliased_and_listed(cli: Cli, reward: Path) -> None:
    made = cli("functions", "create", "maths", reward, "--env", "SCORE=0.5", "--timeout-s", 20, "--json")
    assert made.code == 0, made
    summary = json.loads(made.out)
    assert summary["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:maths:$LATEST"
    assert (summary["handler"], summary["timeout_s"], summary["environment"]) == (
        "reward.lambda_handler",
        20,
        ["SCORE"],
    )
    assert json.loads(cli("functions", "publish", "maths", "--json").out)["version"] == "1"
    assert cli("functions", "alias", "maths", "prod", "1").out.strip() == "maths:prod is version 1"
    assert cli("functions", "update", "maths", "--memory-mb", 256).code == 0
    versions = json.loads(cli("functions", "list", "maths", "--json").out)
    assert [(one["version"], one["memory_mb"], one["aliases"]) for one in versions] == [
        ("$LATEST", 256, []),
        ("1", 512, ["prod"]),
    ]
    assert "maths" in cli("functions", "list").out


def test_invoke_prints_the_answer_and_the_log_keeps_what_was_printed(
    cli: Cli, reward: Path, event: Path, tmp_path: Path
) -> None:
    cli("functions", "create", "maths", reward)
    done = cli("functions", "invoke", "maths", "--event", event, "--log")
    assert json.loads(done.out) == [{"id": name, "aggregate_reward_score": 1.0} for name in "ab"]
    assert "called $LATEST" in done.err
    assert "REPORT RequestId" in done.err
    assert "\x1b" not in done.err
    log = cli("functions", "logs", "maths")
    assert "called $LATEST" in log.out
    assert "\x1b" not in log.out
    bad = tmp_path / "bad.json"
    bad.write_text("[")
    outcome = cli("functions", "invoke", "maths", "--event", bad)
    assert (outcome.code, "not JSON" in outcome.err) == (2, True)


def test_a_failing_function_ends_in_its_error_and_exit_code(cli: Cli, reward: Path, event: Path) -> None:
    cli("functions", "create", "maths", reward)
    event.write_text('"fail"')
    done = cli("functions", "invoke", "maths", "--event", event)
    assert done.code == 5
    assert "maths: ValueError: no such rule" in done.err
    assert "Traceback" not in done.err


def test_an_archive_can_be_registered(cli: Cli, reward: Path, event: Path, tmp_path: Path) -> None:
    file = tmp_path / "reward.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(reward, "graders/maths.py")
    assert cli("functions", "create", "maths", file, "--handler", "graders/maths.lambda_handler").code == 0
    assert len(json.loads(cli("functions", "invoke", "maths", "--event", event).out)) == 2


def test_deleting_takes_the_function_away(cli: Cli, reward: Path) -> None:
    cli("functions", "create", "maths", reward)
    assert json.loads(cli("functions", "delete", "maths", "--json").out) == {"deleted": "maths"}
    assert json.loads(cli("functions", "list", "--json").out) == []


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["create", "maths", "reward.txt"], 5, "cannot be read"),
        (["create", "a b", "{reward}"], 5, "cannot be a function's name"),
        (["create", "maths", "{reward}", "--env", "SCORE"], 2, "expected NAME=VALUE"),
        (["create", "maths", "{reward}", "--timeout-s", "1000"], 5, "expected 1 to 900 s"),
        (["invoke", "nothing", "--event", "{reward}"], 2, "not JSON"),
        (["logs", "nothing"], 5, "No function nothing here"),
        (["alias", "maths", "prod"], 2, "--delete"),
        (["publish", "nothing"], 5, "No function nothing here"),
    ],
)
def test_mistakes_end_in_one_sentence(cli: Cli, reward: Path, words: list[str], code: int, sentence: str) -> None:
    done = cli("functions", *(word.format(reward=reward) for word in words))
    assert done.code == code, done
    assert sentence in " ".join(done.err.split())
    assert "Traceback" not in done.err
