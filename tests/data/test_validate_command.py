"""`tuneward validate`: what people and scripts see."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

import tuneward.models
from tuneward.cli.validate import validate
from tuneward.errors import ModelError

app = typer.Typer()
app.command()(validate)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def train(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    rows = ({"messages": [{"role": "user", "content": "word " * n}], "reference_answer": "x"} for n in range(1, 251))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def words_as_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = SimpleNamespace(render=lambda row: tuple(row.messages[0]["content"].split()))
    monkeypatch.setattr(tuneward.models, "load_chat_tokenizer", lambda _: tokenizer)


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModelError(f'Model "{name}" is not on this machine yet. Run: tuneward models pull {name}')

    monkeypatch.setattr(tuneward.models, "load_chat_tokenizer", absent)


@pytest.mark.usefixtures("words_as_tokens")
def test_a_good_file_exits_with_0_and_shows_its_lengths(train):
    result = run(train)
    assert result.exit_code == 0, result.output
    assert f"{train}: 250 rows (a typical size)" in result.output
    assert "min 1, mean 125.5, median 125, 95 % up to 238, max 250 (limit 1,024)" in result.output
    assert result.output.endswith("Ready: 250 training rows.\n")
    assert "\x1b" not in result.output


@pytest.mark.usefixtures("words_as_tokens")
def test_errors_exit_with_3_are_grouped_and_keep_their_brackets(train):
    with train.open("a") as file:
        file.write('{"messages": [{"role": "agent", "content": "x"}, {"role": "user", "content": "y"}]}\n' + "{\n" * 7)
    result = run(train)
    assert result.exit_code == 3
    assert f'{train}, line 251: messages[0].role is "agent"; expected system, user, assistant or tool.' in result.output
    assert "… and 2 more of this kind (json); --json lists them." in result.output
    assert "Not ready: 8 errors." in result.output


@pytest.mark.usefixtures("words_as_tokens")
def test_json_is_one_document_with_every_problem(train):
    result = run(train, "--validation", train, "--json", "--max-prompt-length", 200)
    report = json.loads(result.stdout)
    assert (report["ok"], report["leaks"], report["train"]["too_long"]) == (True, 250, 50)
    assert report["train"]["prompt_tokens"]["max"] == 250
    assert sum(bin_["prompts"] for bin_ in report["train"]["prompt_tokens"]["histogram"]) == 250
    assert sum(problem["code"] == "leak" for problem in report["problems"]) == 250


@pytest.mark.usefixtures("no_model")
def test_without_the_default_model_the_rest_is_checked_and_one_line_says_so(train):
    result = run(train, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["train"]["prompt_tokens"] is None
    assert result.stderr.count("\n") == 1
    assert "tuneward models pull smollm2-135m" in result.stderr


@pytest.mark.usefixtures("no_model")
def test_a_model_asked_for_by_name_must_be_there(train):
    assert isinstance(run(train, "--model", "other").exception, ModelError)


@pytest.mark.usefixtures("no_model")
def test_no_tokens_needs_no_model(train):
    result = run(train, "--no-tokens")
    assert result.exit_code == 0
    assert "Prompt lengths" not in result.output
