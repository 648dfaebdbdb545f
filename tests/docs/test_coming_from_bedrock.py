"""The job on the page about Bedrock works as it stands there."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path
from typing import Any

import pytest
from tests.serve.bedrock_rows import add_model, change_job
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.rewards.functions.archive import pack_file
from tuneward.serve.bedrock.hyperparameters import reinforcement_config, reinforcement_parameters, supervised_config
from tuneward.serve.bedrock.jobs_request import ReinforcementHyperParameters
from tuneward.serve.server import Server, bind

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from-bedrock.md").read_text(encoding="utf-8")


def test_the_whole_job_on_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code
    monkeypatch.setenv("TUNEWARD_HOME", str(tmp_path / "data"))  # functions of the first project lie there
    app = app_with(tmp_path / "home")
    services = app.state.services
    source = b"def lambda_handler(event, context):\n    return []\n"
    services.functions(DEFAULT_PROJECT).create(
        "grader", pack_file("grader.py", source), handler="grader.lambda_handler"
    )

    def work_meanwhile(_: float) -> None:
        job = change_job(services, "support-answers", state="succeeded")
        model = add_model(services, "support-answers-v1", job=job)
        change_job(services, "support-answers", model_id=model.id)

    monkeypatch.setattr(time, "sleep", work_meanwhile)
    with Server(app, bind("127.0.0.1", 0)) as server:
        for name, value in (
            ("AWS_ENDPOINT_URL_BEDROCK", server.url),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ):
            monkeypatch.setenv(name, value)
        exec(compile(code[1], "coming-from-bedrock.md", "exec"), {})
        assert ":custom-model-deployment/" in capsys.readouterr().out


def test_the_defaults_in_the_tables_are_the_ones_used() -> None:
    used: dict[str, Any] = reinforcement_parameters(reinforcement_config(ReinforcementHyperParameters(), None))
    assert set(used) == {*tables()[0]} - {"reasoningEffort", "evalInterval"}
    for name, value in used.items():
        default = tables()[0][name]
        assert float(default) == value if name != "inferenceMaxTokens" else str(value) in default
    training = supervised_config({}, None)["training"]
    assert [float(default) for default in tables()[1].values()] == list(training.values())


def tables() -> list[dict[str, str]]:
    """Name → default, of each table of hyperparameters."""
    section = PAGE.split("## Hyperparameters")[1].split("\n## ")[0]
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in section.splitlines() if "|" in line]
    starts = [number for number, row in enumerate(rows) if row[0] == "name"] + [len(rows)]
    return [{row[0]: row[2] for row in rows[start + 2 : stop]} for start, stop in itertools.pairwise(starts)]
