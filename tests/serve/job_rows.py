"""A server without workers, and jobs whose states, events and checkpoints a test writes itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
from sqlalchemy.orm import Session
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.config import ServedModelConfig, ServerConfig
from tuneward.jobs.service import add_event, enter, find_job
from tuneward.jobs.states import State
from tuneward.serve.server import Server, bind
from tuneward.serve.services import Services
from tuneward.store.tables import Checkpoint, Model, Project

ROWS = 40

EXACT = {
    "type": "string_check", "name": "exact", "operation": "eq",
    "input": "{{sample.output_text}}", "reference": "{{item.answer}}",
}  # fmt: skip
ALIKE = {
    "type": "text_similarity", "name": "alike", "evaluation_metric": "rouge_l",
    "input": "{{sample.output_text}}", "reference": "{{item.answer}}",
}  # fmt: skip
JUDGE = {
    "type": "score_model", "name": "judge", "model": "tiny",
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
}  # fmt: skip
MULTI = {
    "type": "multi", "name": "both", "graders": {"exact": EXACT, "alike": ALIKE},
    "calculate_output": "0.8 * exact + 0.2 * alike",
}  # fmt: skip


def reinforcement(grader: Any = EXACT, **rest: Any) -> Any:
    return {"type": "reinforcement", "reinforcement": {"grader": grader, **rest}}


class World:
    """A running server and its client."""

    def __init__(self, services: Services, url: str):
        self.services, self.url = services, url
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
        self.train = self.upload("train.jsonl", ROWS)

    def upload(self, name: str, rows: int, *, project: str = DEFAULT_PROJECT, purpose: str = "fine-tune") -> str:
        lines = [{"messages": [{"role": "user", "content": f"{i}?"}], "answer": str(i)} for i in range(rows)]
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        file = self.services.files.add(project, purpose=purpose, filename=name, content=[content])
        return str(file.id)

    def create(self, **body: Any) -> Any:
        """A job; a reinforcement job unless the method says otherwise."""
        body = {"model": "tiny", "training_file": self.train, "method": reinforcement()} | body
        return self.client.fine_tuning.jobs.create(**body)

    def change(self, job: Any, work: Any) -> None:
        """Do something with a job's row in one transaction."""
        self.services.database.write(lambda session: work(session, find_job(session, DEFAULT_PROJECT, job.id)))

    def enter(self, job: Any, state: State) -> None:
        self.change(job, lambda session, row: enter(session, row, state))

    def record(self, job: Any, *records: dict[str, Any], total_steps: int = 20) -> None:
        """Write records as a worker does."""

        def work(session: Session, row: Any) -> None:
            row.progress = {**row.progress, "total_steps": total_steps}
            for record in records:
                add_event(session, row, record["kind"], "", kind="metrics", data=record)

        self.change(job, work)

    def checkpoint(self, job: Any, step: int, **metrics: Any) -> str:
        """Write a checkpoint's row; returns the name of its model."""
        name = f"ft:tiny:tuneward:sfx:{job.id[-12:-4]}:ckpt-step-{step}"

        def work(session: Session, row: Any) -> None:
            session.add(
                Checkpoint(
                    id=f"ftckpt_{row.id}{step}", job_id=row.id, project_id=row.project_id, step=step, model_name=name,
                    adapter=f"adapters/{row.id}/step-{step}", metrics=metrics, created_at=time.time(),
                )
            )  # fmt: skip

        self.change(job, work)
        return name

    def tune(self, job: Any, *, step: int = 20) -> str:
        """Make a model of a job that has succeeded; returns its name."""
        name = f"ft:tiny:tuneward:sfx:{job.id[-12:-4]}"

        def work(session: Session, row: Any) -> None:
            enter(session, row, "succeeded")
            row.model_id = f"m{row.id[1:]}"
            session.add(
                Model(
                    id=row.model_id, project_id=row.project_id, job_id=row.id, name=name, custom_name=name,
                    base_model="tiny", step=step, adapter=f"adapters/{row.id}", created_at=time.time(),
                )
            )  # fmt: skip

        self.change(job, work)
        return name

    def project(self, project_id: str, account_id: str) -> None:
        row = Project(id=project_id, name=project_id, account_id=account_id, created_at=time.time())
        self.services.database.write(lambda session: session.merge(row))


@contextmanager
def world(folder: Path, *, model: str = "tiny", **changes: Any) -> Iterator[World]:
    """A server that knows one base model, with a context of 256 tokens."""
    local = folder / "model"
    local.mkdir(parents=True)
    (local / "config.json").write_text(json.dumps({"max_position_embeddings": 256}))
    config = ServerConfig(models=(ServedModelConfig(name=str(local), id=model),))
    app = app_with(folder / "home", config=config, **changes)
    with Server(app, bind("127.0.0.1", 0)) as server:
        made = World(app.state.services, server.url)
        with made.client:
            yield made
