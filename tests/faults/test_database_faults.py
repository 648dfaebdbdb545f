"""A database that is locked or gone for a while: callers are told to come back, and no job notices."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from botocore.exceptions import ClientError
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from tests.faults.kill_stories import Promises, lines
from tests.faults.service import Service, wait_for
from tests.jobs.engine import Engine
from tests.postgresql import Postgres, PostgresUnavailableError
from tests.serve.bedrock_rows import bedrock_client
from tests.service import app_with

from tuneward.config import ServedModelConfig, ServerConfig
from tuneward.errors import StoreError
from tuneward.jobs.places import database_url
from tuneward.serve.server import Server, bind
from tuneward.store.tables import JobEvent, Tag

GONE_S = 30.0
"""Longer than leases last, and than any request is tried."""


@contextmanager
def locked(config: ServerConfig) -> Iterator[None]:
    """Another process is writing, and does not come to an end."""
    other = sqlite3.connect(database_url(config).removeprefix("sqlite:///"), isolation_level=None, timeout=60)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextmanager
def gone(server: Postgres) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that may be ended."""
    try:
        server = Postgres()
    except PostgresUnavailableError as error:
        pytest.skip(str(error))
    yield server
    server.close()


def impatient(app: FastAPI) -> FastAPI:
    app.state.services.database.patience_s = 0.2
    return app


def config_of(model: Path, **changes: Any) -> ServerConfig:
    return ServerConfig(models=(ServedModelConfig(name=str(model), id="tiny"),), **changes)


def come_back(refused: pytest.ExceptionInfo[openai.InternalServerError]) -> None:
    assert refused.value.status_code == 503
    assert refused.value.response.headers["retry-after"] == "2"
    assert "try again" in refused.value.message


def test_a_locked_database_refuses_writes_for_a_while_and_answers_reads(
    tmp_path: Path, tiny_chat_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneward.store.database.BUSY_S", 0.1)
    config = config_of(tiny_chat_model, home=tmp_path)
    with (
        Server(impatient(app_with(tmp_path, config=config)), bind("127.0.0.1", 0)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client,
    ):
        file = client.files.create(file=("rows.jsonl", lines("train", 10)), purpose="fine-tune")
        with locked(config):
            with pytest.raises(openai.InternalServerError) as refused:
                client.files.create(file=("rows.jsonl", lines("train", 10)), purpose="fine-tune")
            come_back(refused)
            with pytest.raises(ClientError) as aws:
                bedrock_client(server.url).delete_model_invocation_logging_configuration()
            assert aws.value.response["Error"]["Code"] == "ServiceUnavailableException"
            assert aws.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "2"
            assert [one.id for one in client.files.list()] == [file.id]
            assert client.files.content(file.id).read() == lines("train", 10)
        client.files.create(file=("rows.jsonl", lines("train", 10)), purpose="fine-tune")
        assert len(list(client.files.list())) == 2


def test_without_its_database_a_server_asks_for_patience_and_goes_on_with_it(
    tmp_path: Path, tiny_chat_model: Path, own_postgres: Postgres
) -> None:
    config = config_of(tiny_chat_model, home=tmp_path, database=own_postgres.url(own_postgres.create()))
    with (
        Server(impatient(app_with(tmp_path, config=config)), bind("127.0.0.1", 0)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client,
    ):
        file = client.files.create(file=("rows.jsonl", lines("train", 10)), purpose="fine-tune")
        with gone(own_postgres):
            for call in (client.files.list, client.fine_tuning.jobs.list):
                with pytest.raises(openai.InternalServerError) as refused:
                    call()
                come_back(refused)
            with pytest.raises(openai.InternalServerError) as refused:
                client.files.create(file=("rows.jsonl", lines("train", 10)), purpose="fine-tune")
            come_back(refused)
            assert httpx.get(f"{server.url}/healthz").status_code == 200
            assert httpx.get(f"{server.url}/readyz").status_code == 503
        assert client.files.retrieve(file.id).bytes == len(lines("train", 10))
        client.files.create(file=("rows.jsonl", lines("train", 10)), purpose="fine-tune")
        assert httpx.get(f"{server.url}/readyz").status_code == 200


def test_clients_that_try_again_do_not_notice_a_short_lock(
    tmp_path: Path, tiny_chat_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneward.store.database.BUSY_S", 0.05)
    config = config_of(tiny_chat_model, home=tmp_path)
    refused = threading.Event()

    def note(response: httpx.Response) -> None:
        if response.status_code == 503:
            refused.set()

    hooks = httpx.Client(event_hooks={"response": [note]})
    with (
        Server(impatient(app_with(tmp_path, config=config)), bind("127.0.0.1", 0)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", http_client=hooks) as client,
    ):
        made: list[Any] = []
        upload = {"file": ("rows.jsonl", lines("train", 10)), "purpose": "fine-tune"}
        thread = threading.Thread(target=lambda: made.append(client.files.create(**upload)))  # type: ignore[arg-type]
        with locked(config):
            thread.start()
            assert refused.wait(30)
        thread.join()
        assert [one.id for one in client.files.list()] == [made[0].id]


@pytest.mark.slow
def test_a_job_validates_although_the_database_is_locked_meanwhile(tmp_path: Path, tiny_chat_model: Path) -> None:
    """A lock says nothing about a job's files; it must not fail for it."""
    engine = Engine(tmp_path, tiny_chat_model)
    job_id = engine.submit()
    with engine.worker():
        wait_for(lambda: "Validating training file" in " ".join(engine.messages(job_id)))
        # Nothing of a job's process is tried for longer than this.
        with locked(engine.config), pytest.raises(StoreError):
            engine.database.write(lambda session: session.add(Tag(arn="a", key="b", value="c")))
        engine.wait_for_state(job_id, "succeeded")
    engine.database.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_database_that_is_away_for_half_a_minute_costs_no_job(
    kind: str, tmp_path: Path, tiny_chat_model: Path, request: pytest.FixtureRequest
) -> None:
    changes, away = {}, None
    if kind == "postgresql":
        postgres: Postgres = request.getfixturevalue("own_postgres")
        changes, away = {"database": postgres.url(postgres.create())}, gone(postgres)
    service = Service(tmp_path / "service", tiny_chat_model, **changes)
    try:
        service.start()
        made = Promises(service)
        job_id = made.train(steps=60)
        made.wait_for_step(job_id, 2)
        with away or locked(service.config):
            until = time.monotonic() + GONE_S
            while time.monotonic() < until:
                with pytest.raises(openai.InternalServerError) as refused:
                    service.openai().files.create(file=("rows.jsonl", lines("train", 10)), purpose="fine-tune")
                come_back(refused)
        made.keep()
        events = service.database.read(lambda s: s.scalars(select(JobEvent.code).filter_by(job_id=job_id)).all())
        assert Counter(events)["step"] == 60
        assert Counter(events)["taken_over"] == 0  # those who work on it have only been silent
    except OperationalError as error:
        raise AssertionError("the store let a passing failure through") from error
    finally:
        service.close()
