"""`tuneward rewards test`: every way to name a grader, the table, JSON, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome, ToyJob, write_rows

Cli = Callable[..., Outcome]

EXACT = """
def lambda_handler(event, context):
    return [{"id": i["id"], "aggregate_reward_score": float(i["messages"][-1]["content"] == i["reference_answer"])}
            for i in event]
"""
DICE = """
import random

def lambda_handler(event, context):
    return [{"id": item["id"], "aggregate_reward_score": random.random()} for item in event]
"""
GENEROUS = """
def lambda_handler(event, context):
    return [{"id": i["id"], "aggregate_reward_score": float(i["reference_answer"] in i["messages"][-1]["content"])}
            for i in event]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    words = ("red", "green", "blue", "grey")
    write_rows(
        path,
        [
            {"id": word, "messages": [{"role": "user", "content": f"Colour {n}?"}], "reference_answer": word}
            for n, word in enumerate(words)
        ],
    )
    return path


def reward(folder: Path, source: str) -> Path:
    path = folder / "my_reward.py"
    path.write_text(source)
    return path


def test_a_good_reward_is_a_table_without_warnings(cli: Cli, tmp_path: Path, data: Path) -> None:
    outcome = cli("rewards", "test", reward(tmp_path, EXACT), "--data", data, "--strict")
    assert outcome.code == 0, outcome
    for word in ("determinism", "reference_maximum", "what it means", "not applicable", "my_reward.py@"):
        assert word in outcome.out
    assert "warn" not in outcome.out


def test_a_warning_shows_the_row_the_answer_and_both_scores_and_ends_well(cli: Cli, tmp_path: Path, data: Path) -> None:
    file = reward(tmp_path, GENEROUS)
    outcome = cli("rewards", "test", file, "--data", data, "--json")
    assert outcome.code == 0, outcome
    report = json.loads(outcome.out)
    assert report["verdict"] == "warn"
    check = next(check for check in report["checks"] if check["check"] == "all_options")
    assert check["verdict"] == "warn"
    assert check["advice"]
    assert check["example"]["row_id"] == "red"
    assert (check["example"]["score"], check["example"]["against_score"]) == (1.0, 1.0)
    assert cli("rewards", "test", file, "--data", data, "--strict").code == 1


def test_a_contradictory_rule_ends_with_exit_code_1(cli: Cli, tmp_path: Path, data: Path) -> None:
    outcome = cli("rewards", "test", reward(tmp_path, DICE), "--data", data)
    assert outcome.code == 1
    assert "fail" in outcome.out
    assert "Traceback" not in outcome.err


def test_a_configuration_with_nothing_but_a_reward_will_do(cli: Cli, tmp_path: Path, data: Path) -> None:
    reward(tmp_path, EXACT)
    config = tmp_path / "only_reward.yaml"
    config.write_text("reward:\n  file: my_reward.py\n")
    outcome = cli("rewards", "test", config, "--data", data, "--rows", 2, "--json")
    assert outcome.code == 0, outcome
    assert json.loads(outcome.out)["rows"] == 2


def test_the_answers_of_a_model_are_scored_too(cli: Cli, toy_job: ToyJob) -> None:
    data = toy_job.folder / "train.jsonl"
    outcome = cli(
        "rewards", "test", toy_job.folder / "reward.py", "--data", data, "--rows", 2, "--model", toy_job.model,
        "--max-tokens", 4, "--json",
    )  # fmt: skip
    checks = {check["check"]: check for check in json.loads(outcome.out)["checks"]}
    assert checks["base_ordering"]["verdict"] != "not applicable", outcome


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("nowhere.py", 5, "no such reward file"),
        ("nowhere.yaml", 2, "no such configuration file"),
        ("folder/thing", 2, "not a grader"),
        ("no_such_template", 5, "no_such_template"),
    ],
)
def test_what_is_no_grader_is_refused_in_words(cli: Cli, data: Path, name: str, code: int, words: str) -> None:
    outcome = cli("rewards", "test", name, "--data", data)
    assert outcome.code == code, outcome
    assert words in outcome.err
