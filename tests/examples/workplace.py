"""A folder with an example in it, as its README tells it to be used, on a tiny model."""

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
from tests.tiny import save_tiny_chat_model

EXAMPLES = Path(__file__).parents[2] / "examples"


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
