"""Whatever a client sends by the OpenAPI description, or against it, no request ends in a failure of the server."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.service import app_with
from tests.serving import start_engine

from tuneward.serve.catalog import ServedModel
from tuneward.serve.server import Server, bind

SLOW = list(HealthCheck)
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def app(tiny_chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    engine = start_engine(tiny_chat_model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWARD_FUNCTIONS", str(tmp_path_factory.mktemp("functions")))  # not those of whoever runs this
        yield app_with(tmp_path_factory.mktemp("home"), [ServedModel("smollm2-135m", engine, 1)])


@pytest.fixture(scope="module")
def url(app: FastAPI) -> Iterator[str]:
    with Server(app, bind("127.0.0.1", 0)) as server:
        yield server.url


def send_everything(app: FastAPI, url: str, each: int) -> collections.Counter[int]:
    """So many requests to each operation; returns how often each status came. Fails with the request at a 5xx."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    statuses: collections.Counter[int] = collections.Counter()
    session = requests.Session()
    for result in schema.get_all_operations():
        operation = result.ok()

        cases = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]

        @settings(max_examples=each, deadline=None, database=None, derandomize=True, suppress_health_check=SLOW)
        @given(case=st.one_of(cases))
        def send(case: schemathesis.Case) -> None:
            if is_stream(case):  # which would not end by itself
                case.query = {**case.query, "follow": "false"} if isinstance(case.query, dict) else {"follow": "false"}
            answer = case.call(session=session, base_url=url, timeout=60)
            statuses[answer.status_code] += 1
            assert answer.status_code < 500, f"{case.as_curl_command()}\n{answer.text}"

        send()
    return statuses


def is_stream(case: schemathesis.Case) -> bool:
    return "text/event-stream" in case.operation.definition.raw["responses"].get("200", {}).get("content", {})


def test_the_description_names_every_route(app: FastAPI) -> None:
    named = sum(method in METHODS for operations in app.openapi()["paths"].values() for method in operations)
    assert named >= 60


def test_no_request_ends_in_a_failure_of_the_server(app: FastAPI, url: str) -> None:
    statuses = send_everything(app, url, each=4)
    assert sum(statuses.values()) >= 200
    assert statuses[200] > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_none_of_5000_requests_ends_in_a_failure_of_the_server(app: FastAPI, url: str) -> None:
    statuses = send_everything(app, url, each=80)
    assert sum(statuses.values()) >= 5000, statuses
