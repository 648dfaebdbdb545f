"""The page for those who come from OpenAI: its code runs with their client, and its numbers are the code's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import write_rows
from tests.serve.job_rows import EXACT, world

from tuneward.serve.openai import job_defaults
from tuneward.serve.openai.job_method import REINFORCEMENT
from tuneward.serve.openai.job_overrides import REWARD, RUN, open_fields

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from-openai.md").read_text()


def test_the_page_s_code_makes_watches_and_changes_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "grader.json").write_text(json.dumps(EXACT))
    for name in ("train", "validation"):
        rows = [{"messages": [{"role": "user", "content": f"{i}?"}], "answer": str(i)} for i in range(20)]
        write_rows(tmp_path / f"{name}.jsonl", rows)
    make, watch, change = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with world(tmp_path / "server", model="smollm2-135m") as server:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "any")
        names: dict[str, Any] = {}
        exec(make, names)
        server.checkpoint(names["job"], 10)
        tuned = server.tune(names["job"])
        exec(watch, names)
        assert names["model"] == tuned
        assert f"Created fine-tuning job: {names['job'].id}" in capsys.readouterr().out
        exec(change, names)
        assert names["job"].status == "validating_files"


def test_the_table_has_every_hyperparameter_and_the_code_s_numbers() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE, re.MULTILINE))
    assert set(rows) == {*REINFORCEMENT, "reasoning_effort"}
    assert f"round({job_defaults.GROUP} · multiplier)" in rows["compute_multiplier"]
    assert f"{job_defaults.LEARNING_RATE:.0e}".replace("e-0", "e-") + " ·" in rows["learning_rate_multiplier"]
    assert f"{job_defaults.STEPS} steps, at most {job_defaults.MOST_EPOCHS}" in rows["n_epochs"]
    assert f"at most {job_defaults.MOST_STEPS_BETWEEN_EVALUATIONS}" in rows["eval_interval"]
    efforts = [job_defaults.COMPLETION_TOKENS[effort] for effort in ("low", "default", "medium", "high")]
    assert ", ".join(map(str, efforts)) in rows["reasoning_effort"]
    assert f"{job_defaults.SUPERVISED_EPOCHS} passes" in PAGE


def test_the_open_fields_are_named() -> None:
    (text,) = re.findall(r"Open are .*?operator's", PAGE, re.DOTALL)
    named = set(re.findall(r"`(\w+)`", text))
    assert named == {*open_fields("reinforcement"), *REWARD, *RUN}
