"""A store with jobs that real worker processes take, on a tiny model; rows and rewards of the toy job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import REWARD, write_rows

from tuneward.accounts.principal import Principal
from tuneward.config import ServedModelConfig, ServerConfig, StorageConfig
from tuneward.jobs.files import FileService
from tuneward.jobs.places import open_database
from tuneward.jobs.service import JobService, NewJob
from tuneward.jobs.spec import FileSource, JobSpec
from tuneward.jobs.states import TERMINAL
from tuneward.jobs.worker import Timing, Worker
from tuneward.store.database import Database
from tuneward.store.tables import Checkpoint, Job, JobEvent, Model, Project

QUICK = Timing(look_s=0.05, heartbeat_s=0.3, lease_s=3.0, kill_s=3.0, backoff_s=0.1)
PATIENCE_S = 120.0
"""Longest wait for anything here; nothing takes nearly as long."""

DRIVER = """
import os, signal, sys, time
from pathlib import Path
import tuneward.points as points

name, count, marker, action = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
seen = 0

def hold():
    before, asked = signal.getsignal(signal.SIGTERM), []
    signal.signal(signal.SIGTERM, lambda *given: (asked.append(True), before(*given)))
    while not asked:
        time.sleep(0.01)

def reached(point):
    global seen
    if point == name and not marker.exists():
        seen += 1
        if seen == count:
            marker.touch()
            if action == "hold":
                hold()
            else:
                os.kill(os.getpid(), signal.SIGKILL)

points.reached = reached  # before anything imports it by name
from tuneward.jobs.process.__main__ import main
sys.exit(main())
"""
"""The process of a job that at a point is killed, or waits until it is asked to end; the first time only."""


@dataclass
class Engine:
    """A server's store and home without the server."""

    home: Path
    model: Path
    database_url: str | None = None
    slots: tuple[str, ...] = ("here/cpu-0",)
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        self.config = ServerConfig(
            home=self.home,
            database=self.database_url,
            models=(ServedModelConfig(name=str(self.model), id="tiny"),),
            threads=1,
            storage=StorageConfig(folder=self.home / "objects"),
        )
        self.database = open_database(self.config)
        self.jobs = JobService(self.database)
        self.files = FileService(self.database, self.home)
        self.add_project("proj_mine", "111111111111")

    def add_project(self, project_id: str, account_id: str) -> None:
        project = Project(id=project_id, name=project_id, account_id=account_id, created_at=0.0)
        self.database.write(lambda session: session.add(project))

    def upload(self, rows: list[dict[str, Any]] | bytes, project_id: str = "proj_mine") -> str:
        path = self.home / "rows.jsonl"
        if isinstance(rows, bytes):
            path.write_bytes(rows)
        else:
            write_rows(path, rows)
        file = self.files.add(project_id, purpose="fine-tune", filename="rows.jsonl", content=[path.read_bytes()])
        return file.id

    def spec(self, **changes: Any) -> JobSpec:
        """The toy job; sections of the configuration are laid over its own."""
        reward = self.home / "reward.py"
        if not reward.exists():
            reward.write_text(REWARD)
        config: dict[str, Any] = {
            "data": {"max_prompt_length": 100},
            "reward": {"file": str(reward)},
            "lora": {"r": 4},
            "training": {
                "learning_rate": 1e-2,
                "prompts_per_step": 2,
                "samples_per_prompt": 4,
                "max_completion_tokens": 6,
                "max_steps": 5,
            },
            "evaluation": {"every_steps": 2, "early_stopping": False, "preflight_prompts": 2},
        }
        for section, values in changes.pop("config", {}).items():
            config[section] = config.get(section, {}) | values
        fields: dict[str, Any] = {"method": "reinforcement", "base_model": "tiny", "config": config} | changes
        if "training" not in fields:
            fields["training"] = FileSource(file_id=self.upload(rows("train", 10)))
            fields.setdefault("validation", (FileSource(file_id=self.upload(rows("validation", 4))),))
        return JobSpec(**fields)

    def submit(self, spec: JobSpec | None = None, project_id: str = "proj_mine") -> str:
        """Create a job; returns its id."""
        principal = Principal("key_test", project_id, "111111111111", "developer")
        new = NewJob(dialect="openai", model="tiny", spec=spec or self.spec(), request={})
        return self.jobs.create(principal, new).id

    def job(self, job_id: str) -> Job:
        return self.database.read(lambda session: session.get_one(Job, job_id))

    def events(self, job_id: str) -> list[JobEvent]:
        def work(session: Any) -> list[JobEvent]:
            return list(session.query(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.seq))

        return self.database.read(work)

    def messages(self, job_id: str) -> list[str]:
        return [event.message for event in self.events(job_id)]

    def metrics(self, job_id: str) -> list[tuple[str, int]]:
        """(kind, step) of every metrics event, in order."""
        return [(event.code, event.data["step"]) for event in self.events(job_id) if event.type == "metrics"]

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        def work(session: Any) -> list[Checkpoint]:
            return list(session.query(Checkpoint).where(Checkpoint.job_id == job_id).order_by(Checkpoint.step))

        return self.database.read(work)

    def model_of(self, job_id: str) -> Model:
        return self.database.read(lambda session: session.query(Model).where(Model.job_id == job_id).one())

    def adapter_bytes(self, job_id: str) -> bytes:
        return (self.home / self.model_of(job_id).adapter / "adapter_model.safetensors").read_bytes()

    def wait_for(self, job_id: str, condition: Callable[[Job], bool]) -> Job:
        return wait_for(lambda: (job := self.job(job_id)) and condition(job) and job)

    def wait_for_state(self, job_id: str, *states: str) -> Job:
        job = self.wait_for(job_id, lambda job: job.state in states or job.state in TERMINAL)
        assert job.state in states, (job.state, job.error)
        return job

    @property
    def reached(self) -> Path:
        """Is there once a process has got to its point."""
        return self.home / "reached"

    def killed_at(self, point: str, count: int) -> tuple[str, ...]:
        """A command for job processes of which the first to get to a point is killed there."""
        return (sys.executable, "-c", DRIVER, point, str(count), str(self.reached), "kill")

    def held_at(self, point: str, count: int) -> tuple[str, ...]:
        """A command for job processes of which the first to get to a point stays there until it is asked to end."""
        return (sys.executable, "-c", DRIVER, point, str(count), str(self.reached), "hold")

    @contextmanager
    def worker(self, *, timing: Timing = QUICK, **changes: Any) -> Iterator[Worker]:
        """A worker in a thread of this process; its jobs have processes of their own."""
        changes.setdefault("slots", self.slots)
        worker = Worker(self.config, Database(self.database.url, patience_s=0.5), timing=timing, **changes)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield worker
        finally:
            worker.stop()
            thread.join(10)
            worker.stop()
            thread.join()
            worker.database.close()

    def start_worker(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A worker as a process of its own, as `tuneward worker` is."""
        config = self.home / "server.yaml"
        config.write_text(json.dumps(self.config.model_dump(mode="json", exclude_none=True)))  # JSON is YAML
        command = [sys.executable, "-m", "tuneward", "worker", "--config", str(config), *arguments]
        return subprocess.Popen(command, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""})


def rows(name: str, count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"{name}-{i}", "messages": [{"role": "user", "content": f"{name} {i}"}], "reference_answer": str(i)}
        for i in range(count)
    ]


def wait_for(condition: Callable[[], Any]) -> Any:
    """Wait until something is true, and return it."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < give_up_at, "waited in vain"
        time.sleep(0.02)
    return found


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
