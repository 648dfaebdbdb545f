"""A full disk: what cannot be stored is said to be, nothing that was answered for is lost, and space mends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from botocore.exceptions import ClientError
from tests.faults.kill_stories import MANY_STEPS, Promises, lines
from tests.faults.service import Service, wait_for
from tests.faults.small_disk import fill, small_disk
from tests.serve.bedrock_rows import ROLE, bedrock_client
from tests.service import app_with

from tuneward.config import ServedModelConfig, ServerConfig
from tuneward.serve.server import Server, bind

GRADER = {
    "type": "string_check",
    "name": "same",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "yes",
}
LESSONS = {
    "jobName": "lessons",
    "customModelName": "taught",
    "roleArn": ROLE,
    "baseModelIdentifier": "tiny",
    "trainingDataConfig": {"s3Uri": "s3://bucket/lessons.jsonl"},
    "outputDataConfig": {"s3Uri": "s3://bucket/results/"},
}
METHOD: Any = {"type": "reinforcement", "reinforcement": {"grader": GRADER}}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 6) as folder:
        yield folder


def stored(home: Path) -> list[str]:
    return sorted(path.name for path in home.glob("projects/*/files/*"))


def test_requests_are_refused_in_words_and_nothing_is_lost(disk: Path, tiny_chat_model: Path) -> None:
    config = ServerConfig(models=(ServedModelConfig(name=str(tiny_chat_model), id="tiny"),))
    app = app_with(disk / "home", config=config)
    app.state.services.database.patience_s = 0.2
    with (
        Server(app, bind("127.0.0.1", 0)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client,
    ):
        file = client.files.create(file=("rows.jsonl", lines("train", 10)), purpose="fine-tune")
        with pytest.raises(openai.InternalServerError) as refused:
            client.files.create(file=("large.bin", b"x" * (16 << 20)), purpose="user_data")
        assert refused.value.status_code in (503, 507)
        assert "disk is full" in refused.value.message
        assert stored(disk / "home") == [file.id]  # and not half of the other

        filling = fill(disk)
        with pytest.raises(openai.InternalServerError, match="full"):
            client.files.create(file=("rows.jsonl", lines("train", 10)), purpose="fine-tune")
        with pytest.raises(openai.InternalServerError) as refused:
            client.fine_tuning.jobs.create(model="tiny", training_file=file.id, method=METHOD)
        assert (refused.value.status_code, refused.value.response.headers["retry-after"]) == (503, "2")
        assert "full" in refused.value.message
        with pytest.raises(ClientError, match="full") as aws:
            bedrock_client(server.url).create_model_customization_job(**LESSONS)
        assert aws.value.response["Error"]["Code"] == "ServiceUnavailableException"
        before = {job.id for job in client.fine_tuning.jobs.list(limit=100)}
        assert client.files.content(file.id).read() == lines("train", 10)

        filling.unlink()
        made = client.fine_tuning.jobs.create(model="tiny", training_file=file.id, method=METHOD)
        assert {job.id for job in client.fine_tuning.jobs.list(limit=100)} == before | {made.id}
        again = client.files.create(file=("rows.jsonl", lines("train", 10)), purpose="fine-tune")
        assert client.files.content(again.id).read() == lines("train", 10)


@pytest.mark.slow
@pytest.mark.parametrize("database_is_elsewhere", [True, False])
def test_a_job_that_cannot_save_fails_for_that_reason_and_the_next_one_succeeds(
    tmp_path: Path, tiny_chat_model: Path, database_is_elsewhere: bool
) -> None:
    with small_disk(tmp_path / "service" / "home", 40) as home:
        changes = {"database": f"sqlite:///{tmp_path / 'elsewhere.db'}"} if database_is_elsewhere else {}
        service = Service(tmp_path / "service", tiny_chat_model, **changes)
        try:
            service.start()
            made = Promises(service)
            job_id = made.train(steps=MANY_STEPS, states=("failed",))
            made.wait_for_step(job_id, 2)
            filling = fill(home)
            if database_is_elsewhere:
                wait_for(lambda: made.job(job_id).state == "failed", "the failure")
            else:
                log = tmp_path / "service" / "log"
                wait_for(lambda: "disk is full" in log.read_text() or "No space left" in log.read_text(), "the log")
            filling.unlink()
            wait_for(lambda: made.job(job_id).state == "failed", "the failure")
            error = made.job(job_id).error
            assert error is not None
            assert error["code"] == "storage_failed"
            assert "No space left" in error["message"]
            assert "tuneward train" not in error["message"]
            made.train()
            made.keep()
        finally:
            service.close()
