"""A server with a tiny model, keys, a job in every state and what jobs leave; and the real clients, signed in."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import openai
from tests.rewards.functions.archives import scoring
from tests.serve.accounts import aws
from tests.serve.bedrock_rows import add_model, change_job, reinforcement_job
from tests.serve.job_rows import EXACT, reinforcement
from tests.tiny import save_tiny_chat_model

from tuneward.accounts.keys import create_access_key, create_key
from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.accounts.vault import open_vault
from tuneward.config import ServedModelConfig, ServerConfig, StorageConfig
from tuneward.jobs.directory import ModelDirectory
from tuneward.jobs.models import ModelService
from tuneward.jobs.places import open_database
from tuneward.jobs.service import enter, find_job
from tuneward.serve.app import create_app
from tuneward.serve.build import build_services
from tuneward.serve.host import ModelHost
from tuneward.serve.server import Server, bind
from tuneward.serve.services import Services
from tuneward.store.tables import Checkpoint, Job

MODEL = "smollm2-135m"
"""What the tiny model is called; the name that helpers of tests give a job's model."""
ROLE = "arn:aws:iam::000000000000:role/any"
GRADER = EXACT
ROWS = b"".join(b'{"messages": [{"role": "user", "content": "%d?"}], "answer": "%d"}\n' % (n, n) for n in range(40))


class World:
    """A running server, clients with an administrator's keys, and new objects for whoever needs one."""

    def __init__(self, services: Services, url: str, home: Path):
        self.services = services
        self._numbers = itertools.count()
        vault = open_vault(home)
        key = create_key(services.database, DEFAULT_PROJECT, "bearer", "admin")
        signing = create_access_key(services.database, vault, DEFAULT_PROJECT, "signing", "admin")
        self.openai = openai.OpenAI(
            base_url=f"{url}/v1", api_key=key.secret, admin_api_key=key.secret, max_retries=0, timeout=60
        )
        # What the service's models do not allow is for the server to refuse, so the clients send it.
        self.aws = {
            service: aws(service, url, signing.info.id, signing.secret, parameter_validation=False)
            for service in ("bedrock", "bedrock-runtime", "lambda")
        }

    def name(self, prefix: str) -> str:
        """One that nothing else has."""
        return f"{prefix}-{next(self._numbers)}"

    def file(self) -> str:
        """The id of an uploaded file of rows."""
        return str(self.openai.files.create(file=("train.jsonl", ROWS), purpose="fine-tune").id)

    def upload(self) -> Any:
        """An upload that waits for its parts."""
        return self.openai.uploads.create(
            bytes=len(ROWS), filename="train.jsonl", mime_type="application/jsonl", purpose="fine-tune"
        )

    @cached_property
    def training_file(self) -> str:
        """Shared by the jobs."""
        return self.file()

    def job(self, *states: str) -> str:
        """The id of a job that has gone through these states after the first."""
        job = self.openai.fine_tuning.jobs.create(model=MODEL, training_file=self.training_file, method=reinforcement())
        for state in states:
            self.services.database.write(
                lambda session, state=state: enter(session, find_job(session, DEFAULT_PROJECT, job.id), state)
            )
        return str(job.id)

    def checkpoint(self) -> str:
        """The name of a job's checkpoint."""
        job_id, name = self.job(), self.name("ft:smollm2-135m:tuneward:sfx:abcdefgh:ckpt-step")

        def work(session: Any) -> None:
            row = find_job(session, DEFAULT_PROJECT, job_id)
            session.add(
                Checkpoint(
                    id=self.name("ftckpt_"), job_id=row.id, project_id=row.project_id, step=1, model_name=name,
                    adapter=f"adapters/{row.id}/step-1", metrics={}, created_at=1.0,
                )
            )  # fmt: skip

        self.services.database.write(work)
        return name

    def tuned_model(self) -> str:
        """The name of a tuned model."""
        return str(add_model(self.services, self.name("tuned")).name)

    def custom_model(self) -> str:
        """The same, as AWS names it."""
        name = self.name("custom")
        add_model(self.services, name)
        return str(self.aws["bedrock"].get_custom_model(modelIdentifier=name)["modelArn"])

    def customization_job(self) -> str:
        """The ARN of a job of Bedrock's."""
        name = self.name("job")
        return str(self.aws["bedrock"].create_model_customization_job(**reinforcement_job(name))["jobArn"])

    def finished_job(self) -> Job:
        """One that has made a model."""
        name = self.name("job")
        self.aws["bedrock"].create_model_customization_job(**reinforcement_job(name))
        job = change_job(self.services, name, state="succeeded")
        return change_job(self.services, name, model_id=add_model(self.services, self.name("made"), job=job).id)

    def deployment(self) -> str:
        """The ARN of one that is active."""
        made = self.aws["bedrock"].create_custom_model_deployment(
            modelDeploymentName=self.name("deployment"), modelArn=self.custom_model()
        )
        return str(made["customModelDeploymentArn"])

    def function(self, *, version: bool = False) -> str:
        """The name of a reward function, with a version 1 if asked for."""
        name = self.name("scorer")
        self.aws["lambda"].create_function(**new_function(name), Publish=version)
        return name

    def response(self) -> str:
        """The id of a response that is kept."""
        return str(self.openai.responses.create(model=MODEL, input="Hello", max_output_tokens=16).id)


def new_function(name: str) -> dict[str, Any]:
    """A request that makes a reward function."""
    return {
        "FunctionName": name,
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "reward.lambda_handler",
        "Code": {"ZipFile": scoring(0.5)},
    }


@contextmanager
def running(folder: Path) -> Iterator[World]:
    """A server with everything of its own in a folder that is empty."""
    home = folder / "home"
    (folder / "buckets" / "logs").mkdir(parents=True)
    config = ServerConfig(
        home=home,
        models=(ServedModelConfig(name=str(save_tiny_chat_model(folder / "tiny", context=1024)), id=MODEL),),
        storage=StorageConfig(folder=folder / "buckets"),
        threads=1,
    )
    home.mkdir()
    database = open_database(config)
    host = ModelHost(ModelDirectory(config), ModelService(database, home), config.serving, threads=config.threads)
    services = build_services(config, host, database=database)
    own = {"TUNEWARD_FUNCTIONS": str(folder / "functions")}  # not those of whoever runs this
    with patch.dict(os.environ, own), Server(create_app(services), bind("127.0.0.1", 0)) as server:
        yield World(services, server.url, home)
    database.close()
