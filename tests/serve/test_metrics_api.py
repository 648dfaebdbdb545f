"""Numbers and events of a job over HTTP."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.jobs.service import add_event
from tuneward.serve.services import Services
from tuneward.store.tables import Job

JOB = "/api/jobs/ftjob-aaaabbbbcccc"
SERIES = [f"metric/part-{i}" for i in range(20)]


class World:
    """A server with one job."""

    def __init__(self, home: Path):
        app = app_with(home)
        self.client = TestClient(app)
        self._services: Services = app.state.services

        def work(session: Session) -> None:
            session.add(
                Job(
                    id="aaaabbbbcccc", project_id=DEFAULT_PROJECT, created_by="key", name="one", state="running",
                    dialect="openai", model="tiny", spec={"method": "reinforcement"}, request={}, created_at=0.0,
                    updated_at=0.0, phases={}, progress={"plan": {"batch_size": 4}}, result_files=[],
                )
            )  # fmt: skip

        self._services.database.write(work)

    def add(self, *events: tuple[str, str, str, dict[str, Any]]) -> None:
        """Events: (type, code, message, data)."""

        def work(session: Session) -> None:
            job = session.get_one(Job, "aaaabbbbcccc")
            for kind, code, message, data in events:
                level = "warn" if code == "warning" else "error" if code == "failed" else "info"
                add_event(session, job, code, message, level=level, kind=kind, data=data)  # type: ignore[arg-type]

        self._services.database.write(work)

    def steps(self, first: int, last: int) -> None:
        records = [
            {"kind": "step", "step": step, **{name: random.random() for name in SERIES}}
            for step in range(first, last + 1)
        ]
        self.add(*(("metrics", "step", f"Step {record['step']}", record) for record in records))

    def get(self, path: str, **params: Any) -> Any:
        answer = self.client.get(JOB + path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    with made.client:
        yield made


def test_a_live_update_carries_only_what_is_new(world: World) -> None:
    world.steps(1, 30)
    first = world.get("/metrics", keys=",".join(SERIES[:2]))
    assert first["steps"] == list(range(1, 31))
    assert set(first["series"]) == set(SERIES[:2])
    world.steps(31, 32)
    second = world.get("/metrics", keys=",".join(SERIES[:2]), after=first["last"])
    assert second["steps"] == [31, 32]
    third = world.get("/metrics", after=second["last"])
    assert third == {"last": second["last"], "steps": [], "times": [], "series": {}}


def test_numbers_keep_seven_digits_and_gaps_are_null(world: World) -> None:
    world.add(
        ("metrics", "step", "", {"kind": "step", "step": 1, "a": 1 / 3, "b": 12_345_678}),
        ("metrics", "step", "", {"kind": "step", "step": 2, "a": -1e-12}),
    )
    found = world.get("/metrics")["series"]
    assert found == {"a": [0.3333333, -1e-12], "b": [12_345_680, None]}


def test_many_points_come_as_one_compressed_answer(world: World) -> None:
    world.steps(1, 400)
    with world.client.stream("GET", f"{JOB}/metrics", headers={"Accept-Encoding": "gzip"}) as answer:
        body = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    plain = gzip.decompress(body)
    assert len(body) < 0.6 * len(plain)
    found = json.loads(plain)
    assert {len(column) for column in found["series"].values()} == {400}
    uncompressed = world.client.get(f"{JOB}/metrics", headers={"Accept-Encoding": "br"})
    assert "content-encoding" not in uncompressed.headers


@pytest.mark.parametrize(
    "params",
    [{"after": -1}, {"after": 2**63}, {"max_points": 1}, {"max_points": 5001}, {"kind": "preflight"},
     {"keys": ",".join(map(str, range(101)))}],
)  # fmt: skip
def test_a_request_without_bounds_is_refused(world: World, params: dict[str, Any]) -> None:
    assert world.client.get(f"{JOB}/metrics", params=params).status_code == 400


def test_metrics_come_with_their_meaning(world: World) -> None:
    world.add(("metrics", "evaluation", "", {"kind": "evaluation", "step": 0, "kl_ref": 0.1, "<b>": 1.0}))
    cards = {card["name"]: card for card in world.get("/metrics/keys")["data"]}
    assert cards["kl_ref"]["unit"] == "nats/token"
    assert (cards["<b>"]["title"], cards["<b>"]["meaning"], cards["<b>"]["kind"]) == ("<b>", "", "evaluation")


def test_events_are_read_back_in_time_without_those_of_steps(world: World) -> None:
    world.add(*(("message", "note", f"number {i}", {}) for i in range(5)))
    world.steps(1, 3)
    first = world.get("/events", limit=2)
    assert [event["message"] for event in first["data"]] == ["number 4", "number 3"]
    assert first["has_more"]
    rest = world.get("/events", limit=10, before=first["data"][-1]["seq"])
    assert [event["message"] for event in rest["data"]] == ["number 2", "number 1", "number 0"]
    assert not rest["has_more"]
    newer = world.get("/events", after=first["data"][0]["seq"], metrics=True)
    assert [event["step"] for event in newer["data"]] == [3, 2, 1]


def test_events_are_filtered_and_searched(world: World) -> None:
    record = {"kind": "warning", "step": 7, "code": "truncated", "severity": "warning", "action": "Raise the limit."}
    world.add(
        ("message", "created", "Created a 100% job", {}),
        ("message", "warning", "Many answers are cut. Raise the limit.", record),
        ("message", "failed", "It FAILED_x", {}),
    )
    (warning,) = world.get("/events", level="warn")["data"]
    assert warning["diagnosis"] == {"code": "truncated", "severity": "warning", "action": "Raise the limit."}
    assert warning["step"] == 7
    assert [event["code"] for event in world.get("/events", search="failed_X")["data"]] == ["failed"]
    assert [event["code"] for event in world.get("/events", search="0%")["data"]] == ["created"]
    assert world.get("/events", search="%%")["data"] == []
    assert [event["code"] for event in world.get("/events", code="created")["data"]] == ["created"]
    kinds = world.get("/events/kinds")["data"]
    assert {"code": "warning", "level": "warn", "count": 1} in kinds
