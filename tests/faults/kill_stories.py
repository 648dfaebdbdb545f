"""What a client does while a process is killed under it, and what it holds the service to afterwards.

A story asks for things and writes down what was answered with success. `Promises.keep` checks all of it, and that
nothing else is half there.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions
import httpx
import openai
import pytest
from sqlalchemy import select
from tests.faults.service import Service, wait_for
from tests.jobs.engine import rows
from tests.serve.bedrock_rows import ROLE, add_model

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.accounts.projects import find_project
from tuneward.data.objects import ObjectStore
from tuneward.jobs.files import FileService
from tuneward.jobs.states import TERMINAL
from tuneward.runs.checkpoint import is_whole
from tuneward.serve.internal_key import PROJECT
from tuneward.store.tables import ApiKey, Checkpoint, Job, JobEvent, Model

CUT_OFF = (openai.APIConnectionError, botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
"""What a client sees of a server that dies under it."""

HELLO: Any = [{"role": "user", "content": "Hello"}]
FEW_STEPS, MANY_STEPS = 5, 200
MOST_EPOCHS = 50
FIVE_MEBIBYTES = 5 << 20


@contextmanager
def cut_off() -> Iterator[None]:
    """A request that may not be answered; anything but a broken connection is a failure."""
    with suppress(*CUT_OFF):
        yield


def lines(name: str, count: int) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows(name, count)).encode()


@dataclass
class Promises:
    """What was answered with success, and what was asked for at all."""

    service: Service
    files: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, set[str]] = field(default_factory=dict)
    """Id → states one of which it must get to."""
    deployments: dict[str, set[str]] = field(default_factory=dict)
    """Name → models one of which is behind it."""
    possible_deployments: set[str] = field(default_factory=set)

    def upload(self, name: str, content: bytes, purpose: str = "fine-tune") -> str:
        """Upload a file, and remember it when that was answered."""
        file: Any = self.service.openai().files.create(file=(f"{name}.jsonl", content), purpose=purpose)  # type: ignore[arg-type]
        self.files[file.id] = content
        return str(file.id)

    def train(self, *, steps: int = FEW_STEPS, states: tuple[str, ...] = ("succeeded",)) -> str:
        """Create a job of reinforcement; returns its id."""
        files = {"training_file": self.upload("train", lines("train", 10))}
        files["validation_file"] = self.upload("validation", lines("validation", 4))
        grader = {
            "type": "text_similarity",
            "name": "near",
            "input": "{{sample.output_text}}",
            "reference": "letters",
            "evaluation_metric": "fuzzy_match",
        }
        training = {"max_completion_tokens": 6, "samples_per_prompt": 4, "learning_rate": 0.01, "max_steps": steps}
        overrides = {
            "training": training | {"epochs": MOST_EPOCHS},
            "evaluation": {"allow_no_signal": True, "early_stopping": False, "preflight_prompts": 2},
            "lora": {"r": 4},
        }
        made = self.service.openai().fine_tuning.jobs.create(
            model="tiny",
            method={
                "type": "reinforcement",
                "reinforcement": {"grader": grader, "hyperparameters": {"batch_size": 2, "eval_interval": 2}},
            },  # type: ignore[arg-type]
            extra_body={"tuneward": overrides},
            **files,
        )
        job_id = made.id.removeprefix("ftjob-")
        self.jobs[job_id] = set(states)
        return job_id

    def teach(self, *, epochs: int, count: int = 8, states: tuple[str, ...] = ("succeeded",)) -> str:
        """Create a supervised job of Bedrock's, with results in a bucket; returns its id."""
        lessons = [{"messages": [*HELLO, {"role": "assistant", "content": f"Yes {i}"}]} for i in range(count)]
        (self.service.bucket / "lessons.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lessons))
        made = self.service.aws("bedrock").create_model_customization_job(
            jobName="lessons",
            customModelName="taught",
            roleArn=ROLE,
            baseModelIdentifier="tiny",
            trainingDataConfig={"s3Uri": "s3://bucket/lessons.jsonl"},
            outputDataConfig={"s3Uri": "s3://bucket/results/"},
            hyperParameters={"epochCount": str(epochs), "batchSize": "2"},
        )
        job_id = str(made["jobArn"].rpartition("/")[2])
        self.jobs[job_id] = set(states)
        return job_id

    def wait_for_step(self, job_id: str, step: int) -> None:
        def at() -> bool:
            job = self.job(job_id)
            assert job.state not in TERMINAL, (job.state, job.error)
            return job.progress.get("step", 0) >= step

        wait_for(at, f"step {step}")

    def job(self, job_id: str) -> Job:
        return self.service.database.read(lambda session: session.get_one(Job, job_id))

    def keep(self) -> None:
        """Check everything, on a server that runs."""
        self._keep_files()
        for job_id, states in self.jobs.items():
            self._keep_job(job_id, states)
        stored = self.service.database.read(lambda session: set(session.scalars(select(Job.id))))
        listed = {job.id.removeprefix("ftjob-") for job in self.service.openai().fine_tuning.jobs.list(limit=100)}
        assert set(self.jobs) <= stored
        assert listed <= stored
        self._keep_deployments()
        found = self.service.openai().models.list()
        assert "tiny" in {model.id for model in found}
        internal = select(ApiKey.id).where(ApiKey.project_id == find_project(self.service.database, PROJECT).id)
        own = self.service.database.read(lambda session: session.scalars(internal).all())
        assert len(own) == 1  # of the server that runs, and none of one that was killed

    def _keep_files(self) -> None:
        client = self.service.openai()
        listed = {file.id: file for file in client.files.list()}
        assert set(self.files) <= set(listed)
        for file_id, file in listed.items():
            content = client.files.content(file_id).read()
            assert len(content) == file.bytes
            assert self.files.get(file_id, content) == content
            path = FileService(self.service.database, self.service.home).path(DEFAULT_PROJECT, file_id)
            assert path.stat().st_size == file.bytes

    def _keep_job(self, job_id: str, states: set[str]) -> None:
        job = wait_for(lambda: (one := self.job(job_id)).state in TERMINAL | states and one, f"the end of {job_id}")
        assert job.state in states, (job.state, job.error)
        database = self.service.database
        events = database.read(lambda s: s.scalars(select(JobEvent).where(JobEvent.job_id == job_id)).all())
        metrics = Counter((event.code, event.data["step"]) for event in events if event.type == "metrics")
        assert set(metrics.values()) <= {1}, metrics
        said = Counter(event.message for event in events if "another one goes on" not in event.message)
        assert set(said.values()) <= {1}, said
        checkpoints = database.read(lambda s: s.scalars(select(Checkpoint).where(Checkpoint.job_id == job_id)).all())
        models = database.read(lambda s: s.scalars(select(Model).where(Model.job_id == job_id)).all())
        assert all(is_whole(self.service.home / one.adapter) for one in (*checkpoints, *models))
        assert len({checkpoint.step for checkpoint in checkpoints}) == len(checkpoints)
        names = {model.id for model in self.service.openai().models.list()}
        assert {model.name for model in models} <= names
        if job.state == "succeeded":
            assert [model.id for model in models] == [job.model_id]
            steps = sorted(step for code, step in metrics if code == "step")
            assert steps == list(range(1, len(steps) + 1))
            assert len(job.result_files) == 1
            asked = self.service.openai().chat.completions.create(model=models[0].name, messages=HELLO, max_tokens=2)
            assert asked.usage is not None
            if job.spec["output_uri"]:
                table = "training_artifacts/step_wise_training_metrics.csv"
                assert len(list(self.service.bucket.glob(f"results/model-customization-job-*/{table}"))) == 1
        if job.state in ("cancelled", "paused"):
            assert models == []

    def _keep_deployments(self) -> None:
        found = self.service.aws("bedrock").list_custom_model_deployments()["modelDeploymentSummaries"]
        listed = {one["customModelDeploymentName"]: one["modelArn"].rpartition("/")[2] for one in found}
        assert set(self.deployments) <= set(listed) <= set(self.deployments) | self.possible_deployments
        for name, models in self.deployments.items():
            assert listed[name] in models
        assert {one["status"] for one in found} <= {"Active"}


Story = Callable[[Promises], None]


def uploading(made: Promises) -> None:
    """A small file, and then a large one that is cut off."""
    made.upload("small", lines("small", 10))
    with cut_off():
        made.upload("large", lines("large", 20_000))


def uploading_in_parts(made: Promises) -> None:
    """Two parts that become a file, which is cut off."""
    content = lines("parts", 2_000)
    client = made.service.openai()
    upload = client.uploads.create(
        purpose="fine-tune", filename="parts.jsonl", mime_type="text/jsonl", bytes=len(content)
    )
    half = len(content) // 2
    parts = [client.uploads.parts.create(upload.id, data=piece).id for piece in (content[:half], content[half:])]
    with cut_off():
        client.uploads.complete(upload.id, part_ids=parts)
    made.service.ended()
    made.service.start()
    # The client has heard nothing and asks again.
    done: Any = made.service.openai().uploads.complete(upload.id, part_ids=parts)
    assert done.status == "completed"
    made.files[done.file.id] = content


def creating_a_job(made: Promises) -> None:
    with cut_off():
        made.train()


def creating_a_job_and_dying(made: Promises) -> None:
    """The server dies when the job has been answered for."""
    made.train()
    made.service.kill()


def training(made: Promises) -> None:
    made.train()


def training_with_results(made: Promises) -> None:
    made.teach(epochs=2)


def pausing(made: Promises) -> None:
    job_id = made.train(steps=MANY_STEPS, states=("paused",))
    made.wait_for_step(job_id, 2)
    with cut_off():
        made.service.openai().fine_tuning.jobs.pause(f"ftjob-{job_id}")


def cancelling(made: Promises) -> None:
    job_id = made.train(steps=MANY_STEPS, states=("cancelled",))
    made.wait_for_step(job_id, 2)
    with cut_off():
        made.service.openai().fine_tuning.jobs.cancel(f"ftjob-{job_id}")


def stopping(made: Promises) -> None:
    job_id = made.teach(epochs=MOST_EPOCHS, count=100, states=("stopped",))
    made.wait_for_step(job_id, 2)
    with cut_off():
        made.service.aws("bedrock").stop_model_customization_job(jobIdentifier="lessons")


def deploying(made: Promises) -> None:
    first, second = (add_model(made.service, name) for name in ("first", "second"))  # type: ignore[arg-type]
    bedrock = made.service.aws("bedrock")
    arns = [bedrock.get_custom_model(modelIdentifier=name)["modelArn"] for name in ("first", "second")]
    made.possible_deployments.add("chat")
    with cut_off():
        bedrock.create_custom_model_deployment(modelDeploymentName="chat", modelArn=arns[0])
        made.deployments["chat"] = {first.id}
        made.deployments["chat"].add(second.id)  # from here on both are right, until it is answered
        bedrock.update_custom_model_deployment(customModelDeploymentIdentifier="chat", modelArn=arns[1])
        made.deployments["chat"] = {second.id}


def calling_with_logs(made: Promises) -> None:
    """Calls are logged to a bucket; what lies there is whole, whatever happens."""
    made.service.aws("bedrock").put_model_invocation_logging_configuration(
        loggingConfig={"s3Config": {"bucketName": "bucket", "keyPrefix": "logs"}}
    )
    made.service.aws("bedrock-runtime").converse(
        modelId="tiny", messages=[{"role": "user", "content": [{"text": "a"}]}]
    )
    made.service.ended()
    made.service.start()
    objects = ObjectStore(made.service.config.storage)
    for found in objects.list("s3://bucket/logs"):
        assert found.uri.endswith(".json.gz")
        assert gzip.decompress(b"".join(objects.read(found.uri))).endswith(b"\n")


def streaming(made: Promises) -> None:
    """The server dies in the middle of an answer."""
    stream: Any = made.service.openai().chat.completions.create(
        model="tiny", messages=HELLO, stream=True, max_tokens=150, logit_bias={"2": -100}
    )
    next(stream)
    made.service.kill()
    with pytest.raises((httpx.TransportError, openai.APIError)):  # it must not look whole
        list(stream)
