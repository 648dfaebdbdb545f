"""A control plane to test: a server, AWS's own client, and rows as workers leave them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import boto3
import numpy
from botocore.config import Config
from safetensors.numpy import save_file

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.serve.services import Services
from tuneward.store.ids import new_id
from tuneward.store.tables import Job, Model

ROLE = "arn:aws:iam::123456789012:role/tuning"
REMOTE_LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function:grader"


def bedrock_client(url: str, *, is_checking: bool = True, **settings: Any) -> Any:
    """boto3's client for the control plane; signs with keys that mean nothing unless `settings` say otherwise.

    Args:
        is_checking: refuse by itself what its model does not allow.
    """
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}
    return boto3.client(
        "bedrock",
        endpoint_url=url,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 1}, parameter_validation=is_checking),
        **(keys | settings),
    )


def reinforcement_job(name: str, **changes: Any) -> dict[str, Any]:
    """A request for a job, with changes."""
    request = {
        "jobName": name,
        "customModelName": f"{name}-model",
        "roleArn": ROLE,
        "baseModelIdentifier": "smollm2-135m",
        "customizationType": "REINFORCEMENT_FINE_TUNING",
        "trainingDataConfig": {"s3Uri": "s3://rows/train.jsonl"},
        "outputDataConfig": {"s3Uri": "s3://results/out/"},
        "customizationConfig": {"rftConfig": {"graderConfig": {"lambdaGrader": {"lambdaArn": REMOTE_LAMBDA}}}},
    } | changes
    return {member: value for member, value in request.items() if value is not None}


def write_adapter(folder: Path) -> Path:
    """An adapter that is whole."""
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 8}))
    name = "base_model.model.layer.lora_{}.weight"
    weights = {name.format(part): numpy.zeros((4, 4), numpy.float32) for part in "AB"}
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


def add_model(services: Services, name: str, *, job: Job | None = None, project_id: str = DEFAULT_PROJECT) -> Model:
    """A tuned model as a worker leaves it, with an adapter."""
    model_id = new_id()
    adapter = Path("projects") / project_id / "jobs" / (job.id if job else model_id) / "adapters" / "step-1"
    write_adapter(services.home / adapter)
    model = Model(
        id=model_id,
        project_id=project_id,
        job_id=job.id if job else None,
        name=f"ft:smollm2-135m:tuneward:{name}:{model_id[:8]}",
        custom_name=name,
        base_model="smollm2-135m",
        step=1,
        adapter=str(adapter),
        created_at=time.time(),
    )
    services.database.write(lambda session: session.add(model))
    return model


def change_job(services: Services, name: str, **values: Any) -> Job:
    """Change a job as a worker would."""
    job = services.jobs.get(DEFAULT_PROJECT, name)

    def work(session: Any) -> Job:
        changed: Job = session.get(Job, job.id)
        for field, value in values.items():
            setattr(changed, field, value)
        return changed

    return services.database.write(work)
