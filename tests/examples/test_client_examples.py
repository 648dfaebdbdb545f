"""The examples that speak as OpenAI's and AWS's own clients do, as their READMEs tell them, on a tiny model."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer
from tests.tiny import save_tiny_chat_model

EXAMPLES = Path(__file__).parents[2] / "examples"
HEADER = "step_number,epoch_number,training_loss"


def blocks(name: str) -> list[list[str]]:
    """Lines of each block of commands of a README."""
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [[line for line in block.splitlines() if line.strip()] for block in found]


def exported(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(line)[1:])


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Workplace:
    """A folder with an example in it, and the environment that its README builds up."""

    def __init__(self, folder: Path, name: str):
        shutil.copytree(EXAMPLES / name, folder)
        self.folder = folder
        home = folder / "home"
        model = home / "models" / "smollm2-135m"
        save_tiny_chat_model(model, context=384)
        (model / "tuneward.json").write_text("{}")
        foreign = [name for name in os.environ if name.startswith(("AWS_", "OPENAI_"))]
        self.environment = {key: value for key, value in os.environ.items() if key not in foreign}
        self.environment |= {"TUNEWARD_HOME": str(home), "COLUMNS": "200", "AWS_EC2_METADATA_DISABLED": "true"}
        # `tuneward` and `python` of a README are this environment's.
        self.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.ports = {"8000": str(free_port())}

    def words(self, line: str) -> list[str]:
        for documented, actual in self.ports.items():
            line = re.sub(rf"\b{documented}\b", actual, line)
        return shlex.split(line)

    def export(self, line: str) -> None:
        self.environment |= exported(shlex.join(self.words(line)))

    def run(self, line: str, **more: str) -> str:
        done = subprocess.run(
            self.words(line), cwd=self.folder, env=self.environment | more, capture_output=True, text=True,
            check=False, timeout=280,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def serving(self, lines: list[str]) -> Iterator[None]:
        """The README's block that starts a server, until the end of the block here."""
        environment = self.environment
        for line in lines:
            if line.startswith("export "):
                self.export(line)
        # Only the server knows these; what a client needs is told in another block.
        own, self.environment = self.environment, environment
        (start,) = (line for line in lines if line.startswith("tuneward serve"))
        log = self.folder / "serve.log"
        with (
            log.open("w") as output,
            subprocess.Popen(self.words(start), cwd=self.folder, env=own, stdout=output, stderr=output) as server,
        ):
            try:
                _wait_until_up(f"http://127.0.0.1:{self.ports['8000']}", server, log)
                yield
            finally:
                server.terminate()
                server.wait(timeout=60)


def _wait_until_up(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    transport = httpx.HTTPTransport(retries=0)
    with httpx.Client(transport=transport, timeout=5) as client:
        while server.poll() is None:
            try:
                if client.get(f"{url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                continue
    raise AssertionError(log.read_text())


@pytest.fixture
def openai_example(tmp_path: Path) -> Iterator[Workplace]:
    place = Workplace(tmp_path / "example", "openai_client")
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


@pytest.fixture
def bedrock_example(tmp_path: Path) -> Iterator[Workplace]:
    storage = ThreadedMotoServer(port=0)
    storage.start()
    place = Workplace(tmp_path / "example", "bedrock_client")
    # Reward functions run in a sandbox, which has tests of its own and is missing on some machines that run these.
    place.environment["TUNEWARD_ALLOW_UNISOLATED"] = "1"
    place.ports["5000"] = str(storage.get_host_and_port()[1])
    server, keys, client, _ = blocks("bedrock_client")
    try:
        with place.serving(server):
            place.export(f"export {' '.join(place.run(keys[0]).split())}")
            for line in client:
                if line.startswith("export "):
                    place.export(line)
            place.run(client[-2].replace("160", "128"))
            yield place
    finally:
        storage.stop()


@pytest.mark.timeout(400)
def test_boto3_tunes_deploys_and_converses(bedrock_example: Workplace) -> None:
    said = bedrock_example.run(blocks("bedrock_client")[2][-1])
    assert re.search(r"Job arn:aws:bedrock:us-east-1:\d{12}:model-customization-job/tuneward.smollm2-135m/\w{12}", said), said
    assert HEADER in said
    assert re.search(r"arn:aws:bedrock:us-east-1:\d{12}:custom-model-deployment/\w{12}: ['\"]", said), said


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_aws_command_line_does_too(bedrock_example: Workplace) -> None:
    if shutil.which("aws") is None:
        pytest.skip("needs the aws command line")
    said = bedrock_example.run(blocks("bedrock_client")[3][0])
    assert "Completed" in said
    assert HEADER in said
