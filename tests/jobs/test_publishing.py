"""Checkpoints of a job: which are kept, whose folders go, and copies of results that fail at first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.jobs.engine import Engine

from tuneward.errors import DataError
from tuneward.jobs.checkpoints import deploy_checkpoint
from tuneward.jobs.deployments import DeploymentService
from tuneward.jobs.journal import Journal
from tuneward.jobs.models import ModelService
from tuneward.jobs.process.context import JobContext, JobFailedError
from tuneward.jobs.process.ending import upload_patiently
from tuneward.jobs.process.publishing import Publisher, finished
from tuneward.jobs.queue import JobQueue
from tuneward.jobs.spec import JobSpec
from tuneward.records import Record
from tuneward.runs.checkpoint import is_whole
from tuneward.store.ids import new_id
from tuneward.store.tables import CheckpointPermission, Model


@pytest.fixture
def context(engine: Engine) -> Iterator[JobContext]:
    job_id = engine.submit()
    claim = JobQueue(engine.database, "worker").claim("validation")
    assert claim is not None
    journal = Journal(engine.database, claim.lease, on_lost=lambda error: pytest.fail(str(error)), check_s=60)
    spec = JobSpec.model_validate(engine.job(job_id).spec)
    yield JobContext(engine.config, engine.home, engine.database, journal, job_id, "proj_mine", spec)
    journal.close()


@pytest.fixture
def publish(context: JobContext, tmp_path: Path) -> Publisher:
    adapter = tmp_path / "some-adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    return Publisher(context)


def evaluated(step: int, reward: float) -> Record:
    return {"kind": "evaluation", "step": step, "reward_mean": reward, "timing": {"seconds": 1.0}}


def publish_all(publisher: Publisher, tmp_path: Path, rewards: dict[int, float | None]) -> None:
    for step, reward in rewards.items():
        record = None if reward is None else evaluated(step, reward)
        publisher.checkpoint(step, tmp_path / "some-adapter", {"kind": "step", "step": step}, record)


def steps(engine: Engine, context: JobContext) -> list[int]:
    """Of the checkpoints in the store; their folders are there, and no other."""
    context.journal.flush()
    found = engine.checkpoints(context.job_id)
    folders = sorted(path.name for path in (context.home / "adapters").iterdir())
    assert folders == sorted(Path(checkpoint.adapter).name for checkpoint in found)
    assert all(is_whole(engine.home / checkpoint.adapter) for checkpoint in found)
    return [checkpoint.step for checkpoint in found]


def test_best_three_and_the_newest_are_kept(
    engine: Engine, context: JobContext, publish: Publisher, tmp_path: Path
) -> None:
    publish_all(publish, tmp_path, {2: 0.1, 4: 0.9, 6: 0.2, 8: 0.8, 10: 0.7, 12: 0.3, 13: None})
    assert steps(engine, context) == [4, 8, 10, 13]
    assert "timing" not in engine.checkpoints(context.job_id)[0].metrics["validation"]


def test_publishing_again_changes_nothing(
    engine: Engine, context: JobContext, publish: Publisher, tmp_path: Path
) -> None:
    publish_all(publish, tmp_path, {2: 0.1})
    context.journal.flush()
    before = engine.checkpoints(context.job_id)[0].id
    publish_all(publish, tmp_path, {2: 0.1})
    assert steps(engine, context) == [2]
    assert engine.checkpoints(context.job_id)[0].id == before
    assert engine.messages(context.job_id).count("Checkpoint created at step 2") == 1


def test_shared_checkpoint_and_the_model_are_kept(
    engine: Engine, context: JobContext, publish: Publisher, tmp_path: Path
) -> None:
    publish_all(publish, tmp_path, {2: 0.1, 4: 0.2})
    publish.model(4)
    shared = engine.checkpoints(context.job_id)[0]
    permission = CheckpointPermission(id="cp_1", checkpoint_id=shared.id, project_id="proj_mine", created_at=0.0)
    engine.database.write(lambda session: session.add(permission))
    publish_all(publish, tmp_path, {6: 0.7, 8: 0.8, 10: 0.9})
    assert steps(engine, context) == [2, 4, 6, 8, 10]


def test_name_that_was_taken_meanwhile_is_made_longer(
    engine: Engine, context: JobContext, publish: Publisher, tmp_path: Path
) -> None:
    other = Model(
        id=new_id(), project_id="proj_mine", job_id=None, name="ft:other", custom_name=publish.model_name,
        base_model="tiny", step=1, adapter="a", created_at=0.0,
    )  # fmt: skip
    engine.database.write(lambda session: session.add(other))
    publish_all(publish, tmp_path, {2: 0.1})
    publish.model(2)
    assert engine.model_of(context.job_id).custom_name == f"{publish.model_name}-{context.job_id}"


def deploy(engine: Engine, job_id: str, step: int) -> Model:
    deployments = DeploymentService(engine.database, engine.home)
    return deploy_checkpoint(engine.database, deployments, "proj_mine", job_id, step, f"step-{step}")[1]


def test_a_deployed_checkpoint_is_kept_and_is_not_taken_for_the_jobs_model(
    engine: Engine, context: JobContext, publish: Publisher, tmp_path: Path
) -> None:
    publish_all(publish, tmp_path, {2: 0.1})
    context.journal.flush()
    early = deploy(engine, context.job_id, 2)
    publish_all(publish, tmp_path, {4: 0.6, 6: 0.7, 8: 0.8, 10: 0.9})
    assert steps(engine, context) == [2, 6, 8, 10]
    publish.model(10)
    context.journal.write(lambda session, job: finished(session, job, publish.model_name))
    job = engine.job(context.job_id)
    assert job.model_id not in (None, early.id)
    assert engine.database.read(lambda session: session.get_one(Model, job.model_id).step) == 10


def test_the_jobs_model_may_be_a_checkpoint_that_was_deployed_before(
    engine: Engine, context: JobContext, publish: Publisher, tmp_path: Path
) -> None:
    publish_all(publish, tmp_path, {2: 0.1})
    context.journal.flush()
    deployed = deploy(engine, context.job_id, 2)
    publish.model(2)
    publish.model(2)
    model = engine.model_of(context.job_id)  # one alone: two of a folder would be deleted together
    assert (model.id, model.name, model.custom_name) == (deployed.id, publish.model_name, publish.model_name)
    models = ModelService(engine.database, engine.home)
    assert models.find("proj_mine", deployed.name).adapter == models.find("proj_mine", model.name).adapter


def test_copy_that_fails_at_first_is_tried_again(context: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def upload(_self: object, _content: object, uri: str) -> None:
        tries.append(uri)
        if len(tries) < 3:
            raise DataError("the bucket does not answer")

    monkeypatch.setattr("tuneward.data.objects.ObjectStore.upload", upload)
    upload_patiently(context, b"content", "s3://bucket/key", waits_s=(0.0, 0.0))
    assert tries == ["s3://bucket/key"] * 3


def test_copy_that_fails_for_good_fails_the_job(context: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def upload(*_: object) -> None:
        raise DataError("no such bucket")

    monkeypatch.setattr("tuneward.data.objects.ObjectStore.upload", upload)
    with pytest.raises(JobFailedError, match="The model was made, but its results could not be copied: no such bucket"):
        upload_patiently(context, b"content", "s3://bucket/key", waits_s=(0.0,))
