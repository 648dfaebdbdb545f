"""Each example, as its README tells it, on tiny inputs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.tiny import save_tiny_chat_model

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = (
    "training.max_steps=1", "training.prompts_per_step=2", "training.samples_per_prompt=2",
    "training.max_completion_tokens=8", "evaluation.max_rows=2", "evaluation.preflight_prompts=2",
    "evaluation.allow_no_signal=true",
)  # fmt: skip
"""A random model earns nothing, and one step shows that everything fits together."""


def commands(readme: Path) -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.strip()]


def run(words: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    program, *arguments = words
    start = [sys.executable] if program == "python" else [sys.executable, "-m", "tuneward"]
    if words[:2] == ["tuneward", "train"]:
        arguments[1:1] = [word for setting in SMALL for word in ("--set", setting)]
    return subprocess.run(
        [*start, *arguments], cwd=folder, env=environment, capture_output=True, text=True, input="", check=False,
        timeout=280,
    )  # fmt: skip


def records(run_folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run_folder / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A tiny model in the place of the embedded one."""
    folder = tmp_path / "home" / "models" / "smollm2-135m"
    save_tiny_chat_model(folder, context=2048)
    (folder / "tuneward.json").write_text("{}")
    return os.environ | {"TUNEWARD_HOME": str(tmp_path / "home"), "COLUMNS": "120"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gsm8k", "extraction"])
def test_every_command_of_an_example_runs(name: str, tmp_path: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder)
    for words in commands(folder / "README.md"):
        done = run(words, folder, environment)
        # What is not right about a reward is told by the bench's exit status; these rewards are right.
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    step = records(folder / "runs" / name, "step")[0]
    assert step["grader_errors"] == 0
    if name == "gsm8k":
        assert {"metric/answer", "metric/says_how"} <= step.keys()
        assert "held_out" in records(folder / "runs" / name, "evaluation")[0]


def test_every_example_is_tested_here_and_named_in_the_readme() -> None:
    found = {folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()}
    assert found == {"gsm8k", "extraction", "judged_summary", "openai_client", "bedrock_client"}
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    assert all(f"(examples/{name}/README.md)" in readme for name in found)


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("embedded_model")
def test_summaries_are_judged_by_the_embedded_model_that_tuneward_serves(tmp_path: Path) -> None:
    folder = tmp_path / "judged_summary"
    shutil.copytree(EXAMPLES / "judged_summary", folder)
    exported, serve, again, *others = commands(folder / "README.md")
    assert exported == again
    assert exported[0] == "export"
    name, _, value = exported[1].partition("=")
    environment = os.environ | {"COLUMNS": "120", name: value}
    assert serve[:2] == ["tuneward", "serve"]
    assert [words[1] for words in others if words[0] == "tuneward"] == ["rewards", "rewards", "train"]
    # A free port instead of the README's, and a home of its own.
    command = [sys.executable, "-m", "tuneward", *serve[1:-1], "0", "--home", str(tmp_path / "home")]
    assert serve[-2] == "--port"
    server = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        greeting = server.stdout.readline()
        url = re.search(r"http://[^\s]+/v1", greeting)
        assert url is not None, greeting
        config = folder / "config.yaml"
        text = config.read_text().replace("http://127.0.0.1:8000/v1", url[0])
        config.write_text(text.replace("max_tokens: 256", "max_tokens: 96"))
        assert run(["python", "make_rows.py", "16"], folder, environment).returncode == 0
        extra = ["--set", "reward.check=false", "--set", "training.max_completion_tokens=32"]
        done = run([*others[-1], *extra], folder, environment)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    finally:
        server.terminate()
        server.wait(timeout=60)
    step = records(folder / "runs" / "summary", "step")[0]
    assert step["grader_errors"] == 0
    assert {"metric/short", "metric/judge"} <= step.keys()
    assert step["judge_calls"] > 0
