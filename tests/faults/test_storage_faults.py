"""Object storage that is busy, cut off or closed: what passes is waited out, what does not is said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import write_rows
from tests.data.test_objects import Wire, bucket, busy, cut_after, denied, endpoint, settings_of_aws, weak, wire
from tests.jobs.engine import Engine, rows

from tuneward.config import StorageConfig
from tuneward.data.objects import PROBE, ObjectStore
from tuneward.data.s3 import ATTEMPTS
from tuneward.errors import DataError, PassingDataError
from tuneward.jobs.files import FileService
from tuneward.jobs.inputs import WAITS_S, fetch
from tuneward.jobs.spec import JobSpec, UriSource

__all__ = ["bucket", "endpoint", "settings_of_aws", "weak", "wire"]

Fault = Callable[[BaseHTTPRequestHandler], bool]

QUICK_UPLOADS = """
import sys
import tuneward.jobs.process.ending as ending
ending.upload_patiently.__defaults__ = ((0.1, 0.1),)
from tuneward.jobs.process.__main__ import main
sys.exit(main())
"""


class Endless(list[Fault]):
    """The same fault for every request from now on."""

    def pop(self, _index: Any = -1) -> Fault:
        return self[0]


def hang_up(handler: BaseHTTPRequestHandler) -> bool:
    handler.close_connection = True
    return True


def unless_probe(fault: Fault) -> Fault:
    """The fault, for what is written and is not the probe of validation."""
    return lambda handler: handler.command == "PUT" and PROBE not in handler.path and fault(handler)


@pytest.fixture
def spec(bucket: str, endpoint: str, tmp_path: Path) -> JobSpec:
    write_rows(tmp_path / "rows.jsonl", rows("train", 10))
    ObjectStore(StorageConfig(endpoint_url=endpoint)).upload(tmp_path / "rows.jsonl", f"s3://{bucket}/rows.jsonl")
    return JobSpec(
        method="reinforcement", base_model="tiny", config={}, training=UriSource(uri=f"s3://{bucket}/rows.jsonl")
    )


@pytest.fixture
def bring(spec: JobSpec, weak: ObjectStore, tmp_path: Path) -> Callable[..., list[PassingDataError]]:
    """Fetch the rows through the wire, without waiting; returns what it was told to wait for."""

    def run(**changes: Any) -> list[PassingDataError]:
        waited: list[PassingDataError] = []
        files: FileService = None  # type: ignore[assignment]  # no file is named
        inputs = fetch(
            spec.model_copy(update=changes),
            tmp_path / "inputs",
            project_id="p",
            files=files,
            objects=weak,
            wait=lambda _, error: waited.append(error),
        )
        assert inputs.train.read_bytes() == (tmp_path / "rows.jsonl").read_bytes()
        return waited

    return run


@pytest.mark.parametrize("fault", [busy, hang_up, cut_after(20)], ids=["busy", "hung up", "cut"])
def test_rows_come_when_the_storage_is_back(
    fault: Fault, bring: Callable[..., list[PassingDataError]], wire: Wire
) -> None:
    wire.faults = [fault] * (3 * ATTEMPTS)
    waited = bring()
    assert 1 <= len(waited) <= len(WAITS_S)


def test_waiting_for_rows_has_an_end(bring: Callable[..., list[PassingDataError]], wire: Wire) -> None:
    wire.faults = Endless([busy])
    with pytest.raises(PassingDataError, match="too busy"):
        bring()


@pytest.mark.parametrize(
    ("change", "fault", "said"),
    [
        ({}, denied, "AccessDenied"),
        ({"training": UriSource(uri="s3://no-such-bucket-here/rows.jsonl")}, None, "There is no bucket"),
    ],
)
def test_what_does_not_pass_is_said_at_once(
    change: dict[str, Any], fault: Fault | None, said: str, bring: Callable[..., list[PassingDataError]], wire: Wire
) -> None:
    wire.faults = Endless([fault]) if fault else []
    with pytest.raises(DataError, match=said) as refused:
        bring(**change)
    assert not isinstance(refused.value, PassingDataError)


@pytest.fixture
def stored(tmp_path: Path, tiny_chat_model: Path, wire: Wire) -> Engine:
    """A store whose objects lie behind the wire."""
    engine = Engine(tmp_path, tiny_chat_model)
    storage = StorageConfig(endpoint_url=wire.url)
    engine.config = engine.config.model_copy(update={"storage": storage})
    return engine


def job_of(engine: Engine, spec: JobSpec, bucket: str) -> str:
    changed = engine.spec(training=spec.training, output_uri=f"s3://{bucket}/results/")
    return engine.submit(changed)


@pytest.mark.slow
def test_a_job_outlasts_storage_that_is_away(
    stored: Engine, spec: JobSpec, bucket: str, wire: Wire, endpoint: str
) -> None:
    job_id = job_of(stored, spec, bucket)
    wire.faults = [busy] * (ATTEMPTS + 2)
    with stored.worker():
        stored.wait_for(job_id, lambda job: job.state == "running")
        wire.faults = [hang_up] * (ATTEMPTS + 2)
        stored.wait_for_state(job_id, "succeeded")
    messages = " ".join(stored.messages(job_id))
    assert "Rows could not be fetched yet" in messages
    assert "Results could not be copied yet" in messages
    found = ObjectStore(StorageConfig(endpoint_url=endpoint)).list(f"s3://{bucket}/results/")
    assert any(info.uri.endswith("step_wise_training_metrics.csv") for info in found)


@pytest.mark.slow
def test_results_that_may_not_be_written_fail_the_job_and_leave_its_model(
    stored: Engine, spec: JobSpec, bucket: str, wire: Wire
) -> None:
    job_id = job_of(stored, spec, bucket)
    wire.faults = Endless([unless_probe(denied)])
    with stored.worker(command=(sys.executable, "-c", QUICK_UPLOADS)):
        job = stored.wait_for_state(job_id, "failed")
    assert job.error is not None
    assert (job.error["code"], job.error["param"]) == ("output_not_writable", "output_data")
    assert "AccessDenied" in job.error["message"]
    assert stored.adapter_bytes(job_id)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["input", "output"])
def test_buckets_that_are_not_there_are_told_by_validation(
    part: str, stored: Engine, spec: JobSpec, bucket: str
) -> None:
    nowhere = "s3://no-such-bucket-here/"
    if part == "input":
        spec = spec.model_copy(update={"training": UriSource(uri=f"{nowhere}rows.jsonl")})
    job_id = job_of(stored, spec, "no-such-bucket-here" if part == "output" else bucket)
    with stored.worker():
        job = stored.wait_for_state(job_id, "failed")
    assert job.started_at is None
    assert job.error is not None
    assert "no bucket" in job.error["message"]
    assert job.error["code"] == ("invalid_training_file" if part == "input" else "output_not_writable")
