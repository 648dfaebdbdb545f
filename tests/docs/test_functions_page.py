"""The page about functions: its program and its commands work against a server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuneward.accounts.keys import create_access_key
from tuneward.accounts.projects import ensure_default_project
from tuneward.accounts.vault import open_vault
from tuneward.config import ServerConfig
from tuneward.rewards.functions import FunctionRegistry
from tuneward.serve.app import create_app
from tuneward.serve.build import build_services
from tuneward.serve.catalog import FixedCatalog
from tuneward.serve.server import Server, bind

PAGE = (Path(__file__).parents[2] / "docs" / "functions.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables that the page tells to set, for a server that wants keys."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWARD_HOME", str(home))
        app = create_app(build_services(ServerConfig(home=home / "server"), FixedCatalog([])))
        services = app.state.services
        ensure_default_project(services.database)
        key = create_access_key(services.database, open_vault(services.home), "proj_default", "docs", "developer")
        with Server(app, bind("127.0.0.1", 0)) as server:
            told = dict(re.findall(r"export (\w+)=(\S+)", blocks("text")[0]))
            told |= {
                "AWS_ENDPOINT_URL_LAMBDA": server.url,
                "AWS_ACCESS_KEY_ID": key.info.id,
                "AWS_SECRET_ACCESS_KEY": key.secret,
            }
            kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
            yield {**kept, **told, "AWS_PAGER": "", "HOME": str(home)}


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_program(environment: dict[str, str]) -> str:
    return run([sys.executable, "-c", blocks("python")[0]], environment)


def test_the_program_works(environment: dict[str, str]) -> None:
    said = run_program(environment)
    assert said.startswith("arn:aws:lambda:us-east-1:000000000000:function:scorer [{'id': 's-1'")
    assert "'aggregate_reward_score': 1.0" in said
    shelf = FunctionRegistry(Path(environment["HOME"]) / "functions")
    shelf.delete("scorer")


@pytest.mark.slow
def test_the_commands_work(environment: dict[str, str]) -> None:
    aws = shutil.which("aws")
    if aws is None:
        pytest.skip("the AWS command line is not installed")
    run_program(environment)
    outputs = [
        run(["bash", "-c", line.replace("aws ", f"{aws} ", 1)], environment) for line in blocks("bash")[0].splitlines()
    ]
    assert '"scorer"' in outputs[0]
    assert '"Version": "1"' in outputs[1]
    assert "function:scorer:prod" in outputs[3]
