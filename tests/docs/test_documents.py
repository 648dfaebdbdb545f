"""What the documentation says is so: its commands run, its code works, its generated pages are current."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.conftest import write_rows
from tests.tiny import save_tiny_chat_model

from tuneward.config import parse_config
from tuneward.config.reward import GRADER_KINDS
from tuneward.rewards.openai.parse import parse_grader

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

RUN_ELSEWHERE = {
    "make demo",
    "make test",
    "make setup",
    "make test-all",
    "make format",
    "make docs",
    "make console",
    "make screenshots",
    "make bench-console",
    "make bench",
    "make bench-rewards",
    "make bench-serve",
}
"""Commands of a whole checkout: the first two are what continuous integration and releases run; the rest are checked
against the Makefile below."""


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text: str) -> list[str]:
    return [line for block in blocks(text, "bash") for line in block.splitlines() if line.strip()]


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with the README's own files, and a tiny model in the place of the embedded one."""
    folder = tmp_path / "home" / "models" / "smollm2-135m"
    save_tiny_chat_model(folder)
    (folder / "tuneward.json").write_text("{}")
    (tmp_path / "reward.py").write_text(blocks(README, "python")[0])
    (tmp_path / "config.yaml").write_text(blocks(README, "yaml")[0])
    row = json.loads(blocks(README, "json")[0])
    for name, count in (("train", 80), ("validation", 6)):
        question = row["messages"][0]["content"]
        rows = [row | {"messages": [{"role": "user", "content": f"{name} {i}: {question}"}]} for i in range(count)]
        write_rows(tmp_path / f"{name}.jsonl", rows)
    return tmp_path


def test_every_command_of_the_readme_runs(workplace: Path) -> None:
    environment = os.environ | {"TUNEWARD_HOME": str(workplace / "home"), "COLUMNS": "120"}
    lines = commands(README)
    assert len(lines) >= 10
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "tuneward", line
        done = run(arguments, workplace, environment)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    for name in (
        "adapter",
        "report.html",
        "result.json",
        "metrics.jsonl",
        "checkpoints",
        "manifest.json",
        "config.yaml",
    ):
        assert (workplace / "runs" / "first" / name).exists(), name


def test_every_command_of_the_page_on_rewards_runs(workplace: Path) -> None:
    event = [{"id": "1", "messages": [{"role": "assistant", "content": "Rome"}], "reference_answer": "Rome"}]
    (workplace / "event.json").write_text(json.dumps(event))
    environment = os.environ | {"TUNEWARD_HOME": str(workplace / "home"), "COLUMNS": "120"}
    # The sandbox has tests of its own, and is missing on some machines that run these.
    environment["TUNEWARD_ALLOW_UNISOLATED"] = "1"
    lines = commands((ROOT / "docs" / "rewards.md").read_text())
    assert len(lines) >= 7
    for line in lines:
        assert line.startswith("tuneward "), line
        done = run(shlex.split(line)[1:], workplace, environment)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_every_configuration_of_the_page_on_rewards_is_valid() -> None:
    (block,) = blocks((ROOT / "docs" / "rewards.md").read_text(), "yaml")
    rewards = [parse_config({"data": {"train": "t.jsonl"}} | tree).reward for tree in yaml.safe_load_all(block)]
    assert {reward.kind or "compose" for reward in rewards} == {*GRADER_KINDS, "compose"} - {"file"}
    assert all(parse_grader(reward.openai) for reward in rewards if reward.openai)


def test_every_command_of_the_page_on_given_answers_runs(workplace: Path) -> None:
    page = (ROOT / "docs" / "supervised.md").read_text()
    (workplace / "start.yaml").write_text(blocks(page, "yaml")[0])
    (workplace / "config.yaml").rename(workplace / "reward.yaml")
    row = json.loads(blocks(page, "json")[0])
    rows = []
    for day in range(16):
        question = row["messages"][0] | {"content": f"{day}: {row['messages'][0]['content']}"}
        rows.append({"messages": [question, row["messages"][1]]})
    write_rows(workplace / "answers.jsonl", rows)
    environment = os.environ | {"TUNEWARD_HOME": str(workplace / "home"), "COLUMNS": "120"}
    lines = commands(page)
    assert len(lines) == 2
    for line in lines:
        done = run(shlex.split(line)[1:], workplace, environment)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_every_command_of_the_page_on_the_console_runs(tmp_path: Path) -> None:
    lines = commands((ROOT / "docs" / "console.md").read_text())
    assert lines
    for line in lines:
        done = run(shlex.split(line)[1:], tmp_path, os.environ | {"TUNEWARD_HOME": str(tmp_path)})
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def run(arguments: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tuneward", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, input="", check=False, timeout=300,
    )  # fmt: skip


def test_every_make_target_that_documents_name_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"^(make [a-z-]+)", README + (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    assert named <= RUN_ELSEWHERE
    for command in named:
        assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.MULTILINE), command


def test_generated_pages_are_current() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from write_docs import PAGES
    finally:
        sys.path.pop(0)
    for name, write in PAGES.items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == write(), f"run make docs ({name})"


def test_every_file_that_documents_link_to_exists() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
