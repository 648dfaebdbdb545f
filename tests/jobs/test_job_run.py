"""Jobs from submission to model, through real workers and processes, whatever happens to them on the way."""

from __future__ import annotations

import csv
import signal
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from tests.jobs.engine import Engine, kill, wait_for

from tuneward.jobs.queue import MAX_ATTEMPTS
from tuneward.jobs.spec import FileSource, JobSpec
from tuneward.jobs.states import Action
from tuneward.runs.checkpoint import is_whole
from tuneward.runs.folder import RunFolder

STEPS = 5
METRICS = [
    ("evaluation", 0),
    ("preflight", 0),
    ("step", 1),
    ("step", 2),
    ("evaluation", 2),
    ("step", 3),
    ("step", 4),
    ("evaluation", 4),
    ("step", 5),
    ("evaluation", 5),
]
"""Every metrics event of the toy job, in order."""


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, bytes]:
    """Filled by the first test that needs it."""
    return {}


@pytest.fixture
def whole_model(engine: Engine, uninterrupted: dict[str, bytes]) -> Callable[[], bytes]:
    """Adapter of the toy job when nothing happens to it."""

    def make() -> bytes:
        if not uninterrupted:
            job_id = engine.submit()
            with engine.worker():
                engine.wait_for_state(job_id, "succeeded")
            uninterrupted["adapter"] = engine.adapter_bytes(job_id)
        return uninterrupted["adapter"]

    return make


def finish(engine: Engine, job_id: str, whole: bytes, **worker: Any) -> None:
    """Let workers finish a job, and see that it ends as if nothing had happened to it."""
    with engine.worker(**worker):
        engine.wait_for_state(job_id, "succeeded")
    assert engine.metrics(job_id) == METRICS
    assert len({event.message for event in engine.events(job_id)} & {"Fine-tuning job started"}) == 1
    assert engine.adapter_bytes(job_id) == whole
    assert [checkpoint.step for checkpoint in engine.checkpoints(job_id)] == [2, 4, 5]
    assert all(is_whole(engine.home / checkpoint.adapter) for checkpoint in engine.checkpoints(job_id))


def test_job_goes_from_file_to_model(engine: Engine, uninterrupted: dict[str, bytes]) -> None:
    job_id = engine.submit(engine.spec(suffix="letters", custom_name="Letters"))
    with engine.worker():
        job = engine.wait_for_state(job_id, "succeeded")

    uninterrupted["adapter"] = engine.adapter_bytes(job_id)
    messages = engine.messages(job_id)
    told = [
        "Created fine-tuning job:",
        "Validating training file: file-",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
        "Step 1/5 , train mean reward=",
        "Checkpoint created at step 2",
        f"New fine-tuned model created: ft:tiny:tuneward:letters:{job_id[:8]}",
        "The job has successfully completed",
    ]
    places = [next(n for n, message in enumerate(messages) if message.startswith(start)) for start in told]
    assert places == sorted(places)
    assert engine.metrics(job_id) == METRICS

    assert (job.progress["step"], job.progress["total_steps"], job.error) == (5, 5, None)
    assert job.progress["trained_tokens"] > 0
    assert job.progress["plan"]["batch_size"] == 2
    phases = ("validation", "data_processing", "training")
    times = [job.phases[phase][mark] for phase in phases for mark in ("started_at", "ended_at")]
    assert times == sorted(times)

    model = engine.model_of(job_id)
    assert (job.model_id, model.name) == (model.id, f"ft:tiny:tuneward:letters:{job_id[:8]}")
    assert (model.custom_name, model.base_model) == ("Letters", "tiny")
    checkpoint = engine.checkpoints(job_id)[0]
    assert checkpoint.model_name == f"{model.name}:ckpt-step-2"
    assert checkpoint.metrics["validation"]["step"] == checkpoint.metrics["train"]["step"] == 2

    (file_id,) = job.result_files
    table = list(csv.DictReader(engine.files.path("proj_mine", file_id).open()))
    assert [row["step"] for row in table if row["train_mean_reward"]] == ["1", "2", "3", "4", "5"]


def test_killed_process_is_replaced_and_nothing_shows(engine: Engine, whole_model: Callable[[], bytes]) -> None:
    whole = whole_model()
    job_id = engine.submit()
    finish(engine, job_id, whole, command=engine.killed_at("step.recorded", 4))
    assert engine.reached.exists()
    assert any("another one goes on" in message for message in engine.messages(job_id))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "count"),
    [
        ("step.sampled", 1),
        ("step.updated", 2),
        ("evaluation.done", 1),
        ("save.written", 2),
        ("save.manifest", 2),
        ("save.renamed", 2),
        ("save.pruned", 3),
    ],
)
def test_killed_at_any_point(engine: Engine, whole_model: Callable[[], bytes], point: str, count: int) -> None:
    whole = whole_model()
    job_id = engine.submit()
    finish(engine, job_id, whole, command=engine.killed_at(point, count))
    assert engine.reached.exists()


@pytest.mark.slow
def test_killed_worker_is_replaced_and_nothing_shows(engine: Engine, whole_model: Callable[[], bytes]) -> None:
    whole = whole_model()
    job_id = engine.submit()
    worker = engine.start_worker()
    engine.wait_for(job_id, lambda job: job.progress.get("step", 0) >= 1)
    kill(worker)
    run = RunFolder(engine.home / "projects" / "proj_mine" / "jobs" / job_id / "run")
    wait_for(lambda: not run.is_locked)  # its process has died with it
    assert engine.job(job_id).state == "running"
    finish(engine, job_id, whole)


@pytest.mark.slow
def test_frozen_worker_is_replaced_and_its_process_ends(engine: Engine, whole_model: Callable[[], bytes]) -> None:
    """The process of the frozen worker finds out by itself that the job is another worker's."""
    whole = whole_model()
    job_id = engine.submit()
    worker = engine.start_worker()
    try:
        engine.wait_for(job_id, lambda job: job.state == "running")
        worker.send_signal(signal.SIGSTOP)
        finish(engine, job_id, whole)
    finally:
        kill(worker)


def test_job_whose_process_always_dies_fails(engine: Engine) -> None:
    job_id = engine.submit()
    with engine.worker(command=(sys.executable, "-c", "import os; os._exit(1)")):
        job = engine.wait_for_state(job_id, "failed")
    assert job.error is not None
    assert job.error["code"] == "process_died"
    assert job.lease_token == MAX_ATTEMPTS


@pytest.mark.slow
def test_paused_job_keeps_a_checkpoint_and_goes_on_to_the_same_model(
    engine: Engine, whole_model: Callable[[], bytes]
) -> None:
    whole = whole_model()
    job_id = engine.submit()
    with engine.worker(command=engine.held_at("step.recorded", 3)):
        wait_for(engine.reached.exists)
        assert engine.jobs.act("proj_mine", job_id, Action.PAUSE).state == "pausing"
        engine.wait_for_state(job_id, "paused")
    assert [checkpoint.step for checkpoint in engine.checkpoints(job_id)] == [2, 3]
    assert engine.messages(job_id)[-1] == "The job is paused"
    engine.jobs.act("proj_mine", job_id, Action.RESUME)
    with engine.worker():
        engine.wait_for_state(job_id, "succeeded")
    assert engine.metrics(job_id) == METRICS
    assert engine.adapter_bytes(job_id) == whole


@pytest.mark.slow
def test_stopped_job_leaves_a_model(engine: Engine) -> None:
    job_id = engine.submit()
    with engine.worker(command=engine.held_at("step.recorded", 3)):
        wait_for(engine.reached.exists)
        engine.jobs.act("proj_mine", job_id, Action.STOP)
        job = engine.wait_for_state(job_id, "stopped")
    model = engine.model_of(job_id)
    assert job.model_id is None
    assert (engine.home / model.adapter / "adapter_model.safetensors").is_file()
    assert model.step in {checkpoint.step for checkpoint in engine.checkpoints(job_id)} == {2, 3}
    assert len(job.result_files) == 1


@pytest.mark.slow
def test_pausing_job_whose_process_died_is_paused_without_training(engine: Engine) -> None:
    job_id = engine.submit()
    with engine.worker(command=engine.killed_at("step.recorded", 4)) as worker:
        wait_for(engine.reached.exists)
        worker.stop()
    engine.jobs.act("proj_mine", job_id, Action.PAUSE)
    with engine.worker():
        engine.wait_for_state(job_id, "paused")
    assert engine.metrics(job_id)[-1][1] <= 4
    (checkpoint,) = engine.checkpoints(job_id)
    assert (checkpoint.step, checkpoint.metrics["validation"]["step"]) == (2, 2)


@pytest.mark.slow
def test_cancelled_job_ends_at_once_and_says_nothing_more(engine: Engine) -> None:
    job_id = engine.submit()
    with engine.worker(command=engine.held_at("step.recorded", 3)) as worker:
        wait_for(engine.reached.exists)
        engine.jobs.act("proj_mine", job_id, Action.CANCEL)
        wait_for(lambda: not worker.has_work)
    assert engine.job(job_id).state == "cancelled"
    assert engine.messages(job_id)[-1] == "The job was cancelled"
    assert [checkpoint.step for checkpoint in engine.checkpoints(job_id)] == [2]


@pytest.mark.slow
def test_stopping_worker_gives_jobs_back_and_another_goes_on(engine: Engine, whole_model: Callable[[], bytes]) -> None:
    whole = whole_model()
    job_id = engine.submit()
    with engine.worker(command=engine.held_at("step.recorded", 3)) as worker:
        wait_for(engine.reached.exists)
        worker.stop()
        engine.wait_for_state(job_id, "queued")
    job = engine.job(job_id)
    assert (job.lease_owner, job.attempts) == (None, 0)
    with engine.worker():
        engine.wait_for_state(job_id, "succeeded")
    assert engine.metrics(job_id) == METRICS
    assert engine.adapter_bytes(job_id) == whole


@pytest.mark.slow
def test_two_workers_share_one_slot(engine: Engine) -> None:
    jobs = [engine.submit(), engine.submit()]
    with engine.worker(), engine.worker():
        first, second = sorted(
            (engine.wait_for_state(job, "succeeded") for job in jobs), key=lambda job: job.started_at
        )
    assert second.started_at >= first.finished_at


@pytest.mark.slow
def test_training_goes_on_while_the_database_is_locked(engine: Engine, whole_model: Callable[[], bytes]) -> None:
    """Locked for longer than leases last, by something else that writes."""
    whole = whole_model()
    job_id = engine.submit(engine.spec(config={"run": {"checkpoint_every_steps": 1}}))
    path = engine.database.url.removeprefix("sqlite:///")
    with engine.worker(command=engine.held_at("never", 1)):
        engine.wait_for(job_id, lambda job: job.state == "running")
        other = sqlite3.connect(path, isolation_level=None, timeout=60)
        other.execute("BEGIN IMMEDIATE")
        result = engine.home / "projects" / "proj_mine" / "jobs" / job_id / "run" / "result.json"
        wait_for(result.exists)  # trained to the end meanwhile
        assert engine.job(job_id).state == "running"
        other.execute("ROLLBACK")
        other.close()
        engine.wait_for_state(job_id, "succeeded")
    assert engine.metrics(job_id) == METRICS
    assert engine.adapter_bytes(job_id) == whole


@pytest.mark.slow
def test_worker_with_once_ends_when_there_is_nothing_left(engine: Engine) -> None:
    job_id = engine.submit()
    worker = engine.start_worker("--once")
    assert worker.wait(timeout=120) == 0
    assert engine.job(job_id).state == "succeeded"


@pytest.mark.slow
def test_connections_cut_by_postgresql_do_not_show(
    engine_on_postgresql: Engine, whole_model: Callable[[], bytes]
) -> None:
    whole = whole_model()
    engine = engine_on_postgresql
    job_id = engine.submit()
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    with engine.worker():
        for step in range(1, STEPS):
            engine.wait_for(job_id, lambda job, step=step: job.progress.get("step", 0) >= step)
            engine.database.write(lambda session: session.execute(cut))
        engine.wait_for_state(job_id, "succeeded")
    assert engine.metrics(job_id) == METRICS
    assert engine.adapter_bytes(job_id) == whole


@pytest.mark.slow
def test_reinforcement_builds_on_a_supervised_job_and_copies_its_results(engine: Engine) -> None:
    (engine.home / "objects" / "bucket").mkdir(parents=True)
    lessons = [
        {"messages": [{"role": "user", "content": f"say {i}"}, {"role": "assistant", "content": "yes"}]}
        for i in range(8)
    ]
    spec = JobSpec(
        method="supervised",
        base_model="tiny",
        training=FileSource(file_id=engine.upload(lessons)),
        config={"lora": {"r": 4}, "training": {"epochs": 2, "rows_per_step": 2}, "evaluation": {"every_steps": 2}},
    )
    first = engine.submit(spec)
    with engine.worker():
        engine.wait_for_state(first, "succeeded")
        assert any(message.startswith("Step 2/") for message in engine.messages(first))
        model = engine.model_of(first)
        assert model.step in {checkpoint.step for checkpoint in engine.checkpoints(first)}

        second = engine.submit(engine.spec(start_from=model.adapter, output_uri="s3://bucket/results/"))
        engine.wait_for_state(second, "succeeded")
    assert engine.adapter_bytes(second) != engine.adapter_bytes(first)
    copied = engine.home / "objects" / "bucket" / "results" / f"model-customization-job-{second}"
    table = copied / "training_artifacts" / "step_wise_training_metrics.csv"
    assert len(table.read_text().splitlines()) == 1 + STEPS
