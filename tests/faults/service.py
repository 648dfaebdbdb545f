"""`tuneward serve` with its worker as real processes on a tiny model, to be killed and started again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import boto3
import openai
from botocore.config import Config

from tuneward.accounts.keys import create_access_key, ensure_first_key
from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.accounts.vault import open_vault
from tuneward.config import ServedModelConfig, ServerConfig, StorageConfig
from tuneward.jobs.places import open_database

PATIENCE_S = 150.0
"""Longest wait for anything here."""

TRAPS = Path(__file__).with_name("trap")


@dataclass(frozen=True)
class Trap:
    """Where a process is killed.

    Args:
        role: the process that gets there.
        at: `module:function` of the product.
        when: before or after the call.
        count: of the calls.
        victim: who is killed; a job can take its worker or the server with it.
        argument: only calls with this first argument count.
    """

    role: Literal["server", "worker", "job"]
    at: str
    when: Literal["before", "after"] = "after"
    count: int = 1
    victim: Literal["self", "worker", "server"] = "self"
    argument: str | None = None

    @property
    def kills_server(self) -> bool:
        return self.victim == "server" or (self.victim == "self" and self.role == "server")


def wait_for(condition: Callable[[], Any], what: str = "it", limit_s: float = PATIENCE_S) -> Any:
    """Wait until something is true, and return it."""
    give_up_at = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < give_up_at, f"waited for {what} in vain"
        time.sleep(0.05)
    return found


class Service:
    """A server, its home, and clients with keys that outlive it."""

    def __init__(self, folder: Path, model: Path, **changes: Any):
        self.folder = folder
        self.home = folder / "home"
        self.marker = folder / "sprung"
        self.bucket = folder / "objects" / "bucket"
        self.bucket.mkdir(parents=True)
        self.home.mkdir(exist_ok=True)  # it may be a disk of its own
        settings: dict[str, Any] = {
            "home": self.home,
            "port": 0,
            "models": (ServedModelConfig(name=str(model), id="tiny"),),
            "threads": 1,
            "storage": StorageConfig(folder=folder / "objects"),
        }
        self.config = ServerConfig(**(settings | changes))
        self.database = open_database(self.config)
        key = ensure_first_key(self.database, self.home)
        assert key is not None
        self.key = key
        self.access = create_access_key(self.database, open_vault(self.home), DEFAULT_PROJECT, "aws", "admin")
        self.file = folder / "server.yaml"
        self.file.write_text(self.config.model_dump_json(exclude_none=True))  # JSON is YAML
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        self.starts = 0

    def start(self, trap: Trap | None = None) -> None:
        """Start, and return when requests are answered."""
        self.starts += 1
        environment = {name: value for name, value in os.environ.items() if name != "TUNEWARD_API_KEY"}
        environment |= {"COLUMNS": "200", "CUDA_VISIBLE_DEVICES": ""}
        if trap is not None:
            paths = [str(TRAPS), environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
            environment["TUNEWARD_TEST_TRAP"] = json.dumps(asdict(trap) | {"marker": str(self.marker)})
        command = [sys.executable, "-m", "tuneward", "serve", "--config", str(self.file)]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        lines = []
        while not (found := re.search(r"Serving .* at (http://127\.0\.0\.1:\d+)/v1", "".join(lines))):
            lines.append(self.process.stdout.readline())
            assert lines[-1], (self.folder / "log").read_text()
        self.url = found[1]

    def kill(self) -> None:
        """End the server alone, as the kernel does."""
        assert self.process is not None
        self.process.kill()

    def ended(self) -> None:
        """Wait for the end of a server that has been killed."""
        assert self.process is not None
        assert self.process.wait(PATIENCE_S) == -signal.SIGKILL
        assert self.process.stdout is not None
        self.process.stdout.close()

    def close(self) -> None:
        """End every process, whatever it does."""
        if self.process is not None and self.process.poll() is None:
            pids = [self.process.pid]
            for pid in pids:
                pids += children(pid)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            self.ended()
        self.database.close()

    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0, timeout=60)

    def aws(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.access.info.id,
            aws_secret_access_key=self.access.secret,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
        )


def children(pid: int) -> list[int]:
    try:
        return [
            int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []
