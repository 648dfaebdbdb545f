"""The example for OpenAI's clients: every version of them, in Python and JavaScript, unmodified."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.examples.workplace import Workplace, blocks


@pytest.fixture(scope="module")
def openai_example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    place = Workplace(tmp_path_factory.mktemp("openai") / "example", "openai_client")
    server, client, _ = blocks("openai_client")
    with place.serving(server):
        place.export(client[0])
        place.run(client[1].replace("160", "16"))
        yield place


def package(name: str, folder: Path) -> str:
    """Install a package into a folder of its own; skips where none can be had."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode:
        pytest.skip(f"needs {name} from the package index: {done.stderr.strip().splitlines()[-1:]}")
    return str(folder)


def assert_went_through(said: str) -> None:
    assert "The reference answer earns 1.00." in said
    for message in ("Created fine-tuning job", "Files validated", "The job has successfully completed"):
        assert message in said, said
    assert re.search(r"Checkpoint after step 2: ft:smollm2-135m:tuneward:opening(-js)?:\w{8}", said), said
    assert re.search(r"ft:smollm2-135m:tuneward:opening(-js)?:\w{8}: ['\"]", said), said


@pytest.mark.timeout(400)
def test_openais_python_client_tunes_and_asks(openai_example: Workplace) -> None:
    said = openai_example.run("python tune.py")
    assert_went_through(said)
    assert "step,train_mean_reward,full_valid_mean_reward" in said


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["openai>=1.109,<2", "openai>=2,<3"])
def test_earlier_versions_of_openais_client_do_too(openai_example: Workplace, tmp_path: Path, version: str) -> None:
    path = package(version, tmp_path / "package")
    assert_went_through(openai_example.run("python tune.py", PYTHONPATH=path))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_openais_javascript_client_does_too(openai_example: Workplace) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node and npm")
    installed = subprocess.run(
        ["npm", "install", "--silent", "openai@6"], cwd=openai_example.folder, capture_output=True, check=False
    )
    if installed.returncode:
        pytest.skip("needs the npm registry")
    assert_went_through(openai_example.run(blocks("openai_client")[2][0]))
