"""`tuneward rewards`: what is ready made can be seen, and copied without losing a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome

from tuneward.rewards.judge.rubric import ready_made_rubrics
from tuneward.rewards.templates import find_template, ready_made_templates

Cli = Callable[..., Outcome]


def test_the_list_names_every_rule_and_rubric_with_its_purpose(cli: Cli) -> None:
    text = cli("rewards", "list").out
    listed = json.loads(cli("rewards", "list", "--json").out)
    known = {one.name: one for one in (*ready_made_templates(), *ready_made_rubrics())}
    assert [one["name"] for one in listed] == list(known)
    for one in listed:
        assert one["name"] in text
        assert one["description"] == known[one["name"]].description
        assert one["description"] in text
        assert Path(one["path"]).is_file()
    assert {one["kind"] for one in listed} == {"template", "rubric"}


def test_show_tells_what_is_scored_and_the_rows(cli: Cli) -> None:
    out = cli("rewards", "show", "math_answer").out
    assert find_template("math_answer").documentation in out
    assert "reward.template: math_answer" in out
    assert "{{" in cli("rewards", "show", "summarization").out


@pytest.mark.parametrize(
    ("name", "file", "setting"), [("regex_match", "regex_match.py", "reward.file"), ("tone", "tone.md", "judge.rubric")]
)
def test_a_copy_lands_in_this_folder_and_tells_the_next_step(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str, setting: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("rewards", "copy", name)
    assert done.code == 0
    assert f"{setting}: {file}" in done.out
    assert "tuneward rewards test" in done.out
    listed = {one["name"]: one["path"] for one in json.loads(cli("rewards", "list", "--json").out)}
    assert (tmp_path / file).read_bytes() == Path(listed[name]).read_bytes()


def test_a_file_of_ones_own_is_overwritten_only_when_asked(cli: Cli, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("my work")
    refused = cli("rewards", "copy", "tool_call", mine)
    assert refused.code == 2
    assert "--force" in refused.err
    assert mine.read_text() == "my work"
    assert cli("rewards", "copy", "tool_call", mine, "--force").code == 0
    assert mine.read_text() == find_template("tool_call").path.read_text()


def test_a_copy_goes_into_a_folder_or_is_refused_in_a_sentence(cli: Cli, tmp_path: Path) -> None:
    assert cli("rewards", "copy", "tool_call", tmp_path).code == 0
    assert (tmp_path / "tool_call.py").is_file()
    assert "no such folder" in cli("rewards", "copy", "tool_call", tmp_path / "no" / "x.py").err
    assert ".py file" in cli("rewards", "copy", "tool_call", tmp_path / "x.txt").err
    unknown = cli("rewards", "copy", "tool_cal")
    assert unknown.code == 5
    assert 'did you mean "tool_call"' in unknown.err
