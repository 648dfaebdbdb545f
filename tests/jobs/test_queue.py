"""The queue: whose turn it is, one job and one slot for one worker, and no writing without the lease."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tuneward.accounts.principal import Principal
from tuneward.jobs.lease import Lease, LeaseLostError, held
from tuneward.jobs.queue import MAX_ATTEMPTS, Claim, JobQueue
from tuneward.jobs.service import JobService, NewJob
from tuneward.jobs.spec import FileSource, JobSpec
from tuneward.jobs.states import Action
from tuneward.store.database import Database
from tuneward.store.tables import Job, JobEvent, Project, SlotLease

PROJECTS = ("proj_a", "proj_b", "proj_c")
SLOT = ("host/cpu-0",)


@pytest.fixture
def database(database: Database) -> Database:
    """In SQLite and in PostgreSQL, with three projects."""

    def work(session: Any) -> None:
        for number, name in enumerate(PROJECTS):
            session.add(Project(id=name, name=name, account_id=f"{number:012d}", created_at=0.0))

    database.write(work)
    return database


@pytest.fixture
def submit(database: Database) -> Callable[..., str]:
    """Make a job of a project in some state; returns its id."""

    def make(project: str = "proj_a", state: str = "queued", **changes: Any) -> str:
        spec = JobSpec(method="reinforcement", base_model="tiny", training=FileSource(file_id="file-1"))
        new = NewJob(dialect="openai", model="tiny", spec=spec, request={})
        job_id = JobService(database).create(Principal("key", project, "0" * 12, "developer"), new).id
        change(database, job_id, state=state, **changes)
        return job_id

    return make


def change(database: Database, job_id: str, **values: Any) -> None:
    def work(session: Any) -> None:
        job = session.get_one(Job, job_id)
        for name, value in values.items():
            setattr(job, name, value)

    database.write(work)


def read(database: Database, job_id: str) -> Job:
    return database.read(lambda session: session.get_one(Job, job_id))


def run_out(database: Database, job_id: str) -> None:
    """As if its worker had been silent for long."""

    def work(session: Any) -> None:
        session.get_one(Job, job_id).lease_expires_at = 1.0
        for slot in session.query(SlotLease).where(SlotLease.job_id == job_id):
            slot.expires_at = 1.0

    database.write(work)


def take(queue: JobQueue, slots: tuple[str, ...] = SLOT) -> Claim:
    claim = queue.claim("training", slots)
    assert claim is not None
    return claim


def test_job_has_one_worker(database: Database, submit: Callable[..., str]) -> None:
    job_id = submit()
    first = JobQueue(database, "first").claim("training", ("host/cpu-0",))
    assert first is not None
    assert (first.lease.job_id, first.slot, first.attempt) == (job_id, "host/cpu-0", 1)
    assert JobQueue(database, "second").claim("training", ("other/cpu-0",)) is None


def test_slot_has_one_job(database: Database, submit: Callable[..., str]) -> None:
    submit()
    submit()
    assert JobQueue(database, "first").claim("training", SLOT) is not None
    assert JobQueue(database, "second").claim("training", SLOT) is None
    assert JobQueue(database, "second").claim("training", (*SLOT, "host/cpu-1")) is not None


def test_many_workers_at_once_take_each_job_and_slot_once(database: Database, submit: Callable[..., str]) -> None:
    for _ in range(6):
        submit()
    slots = tuple(f"host/gpu-{number}" for number in range(4))
    claims: list[Claim] = []

    def work(name: str) -> None:
        queue = JobQueue(database, name)
        while (claim := queue.claim("training", slots)) is not None:
            claims.append(claim)

    threads = [threading.Thread(target=work, args=(f"worker-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claim.slot or "" for claim in claims) == sorted(slots)
    assert len({claim.lease.job_id for claim in claims}) == 4


def test_validation_needs_no_slot(database: Database, submit: Callable[..., str]) -> None:
    submit()
    queue = JobQueue(database, "worker")
    take(queue)
    waiting = submit(state="validating")
    claim = queue.claim("validation")
    assert claim is not None
    assert (claim.lease.job_id, claim.slot) == (waiting, None)


def test_projects_take_turns(database: Database, submit: Callable[..., str]) -> None:
    """One project's long list does not keep the others waiting."""
    many = [submit("proj_a") for _ in range(3)]
    few = [submit("proj_b"), submit("proj_c")]
    queue = JobQueue(database, "worker")
    order = []
    for started_at in range(1, 6):
        claim = take(queue)
        order.append(claim.lease.job_id)
        change(database, claim.lease.job_id, state="succeeded", started_at=float(started_at))
        queue.release(claim.lease)
    assert order == [many[0], few[0], few[1], many[1], many[2]]


def test_project_with_fewest_running_jobs_is_next(database: Database, submit: Callable[..., str]) -> None:
    slots = tuple(f"host/gpu-{number}" for number in range(3))
    first, second, other = submit("proj_a"), submit("proj_a"), submit("proj_b")
    queue = JobQueue(database, "worker")
    assert [take(queue, slots).lease.job_id for _ in range(3)] == [first, other, second]


def test_begun_jobs_go_on_before_others_begin(database: Database, submit: Callable[..., str]) -> None:
    submit("proj_b")
    begun = submit("proj_a", state="running", started_at=5.0, lease_owner="gone", lease_expires_at=1.0)
    assert take(JobQueue(database, "worker")).lease.job_id == begun


def test_running_job_is_taken_over_only_when_its_lease_has_run_out(
    database: Database, submit: Callable[..., str]
) -> None:
    job_id = submit()
    first, second = JobQueue(database, "first"), JobQueue(database, "second")
    lease = take(first).lease
    change(database, job_id, state="running")
    assert second.claim("training", ("other/cpu-0",)) is None
    run_out(database, job_id)
    assert second.claim("training", ("other/cpu-0",), take_over=False) is None
    claim = take(second, ("other/cpu-0",))
    assert (claim.state, claim.attempt, claim.lease.token) == ("running", 2, lease.token + 1)
    assert first.renew([lease]) == {job_id: None}
    first.release(lease)  # says nothing, changes nothing
    assert read(database, job_id).lease_owner == "second"


def test_nobody_writes_without_the_lease(database: Database, submit: Callable[..., str]) -> None:
    job_id = submit()
    first, second = JobQueue(database, "first"), JobQueue(database, "second")
    lease = take(first).lease

    def write(by: Lease) -> None:
        database.write(lambda session: setattr(held(session, by), "progress", {"by": by.owner}))

    write(lease)
    run_out(database, job_id)
    write(lease)  # nobody has taken it yet
    other = take(second).lease
    write(other)
    with pytest.raises(LeaseLostError, match="another worker"):
        write(lease)
    assert read(database, job_id).progress == {"by": "second"}
    second.release(other)
    with pytest.raises(LeaseLostError, match="another worker"):
        write(other)


def test_nobody_writes_to_a_job_that_has_ended(database: Database, submit: Callable[..., str]) -> None:
    job_id = submit()
    lease = take(JobQueue(database, "worker")).lease
    JobService(database).act("proj_a", job_id, Action.CANCEL)
    with pytest.raises(LeaseLostError, match="cancelled"):
        database.write(lambda session: held(session, lease))


def test_renewing_keeps_job_and_slot_and_tells_the_state(database: Database, submit: Callable[..., str]) -> None:
    job_id = submit()
    queue = JobQueue(database, "worker")
    lease = take(queue).lease
    change(database, job_id, state="running")
    run_out(database, job_id)
    assert queue.renew([lease]) == {job_id: "running"}
    assert JobQueue(database, "other").claim("training", SLOT) is None
    JobService(database).act("proj_a", job_id, Action.PAUSE)
    assert queue.renew([lease]) == {job_id: "pausing"}


def test_worker_whose_slot_another_job_has_loses_its_job(database: Database, submit: Callable[..., str]) -> None:
    frozen, waiting = submit(), submit()
    queue = JobQueue(database, "frozen")
    lease = take(queue).lease
    change(database, frozen, state="running")
    run_out(database, frozen)
    change(database, frozen, lease_expires_at=9e9)  # so that only the slot is free
    assert take(JobQueue(database, "other")).lease.job_id == waiting
    assert queue.renew([lease]) == {frozen: None}


def test_job_whose_processes_keep_dying_fails_with_a_reason(database: Database, submit: Callable[..., str]) -> None:
    job_id = submit(progress={"step": 3})
    queue = JobQueue(database, "worker")
    for attempt in range(1, MAX_ATTEMPTS + 1):
        claim = take(queue)
        assert claim.attempt == attempt
        queue.release(claim.lease)
    assert queue.claim("training", SLOT) is None
    job = read(database, job_id)
    assert (job.state, job.error["code"] if job.error else None) == ("failed", "process_died")
    assert "5 times in a row" in job.error["message"]  # type: ignore[index]
    assert "after step 3" in job.error["message"]  # type: ignore[index]
    events = database.read(lambda session: session.query(JobEvent).where(JobEvent.level == "error").all())
    assert [event.job_id for event in events] == [job_id]


def test_ends_that_were_asked_for_do_not_count(database: Database, submit: Callable[..., str]) -> None:
    submit()
    queue = JobQueue(database, "worker")
    for _ in range(2 * MAX_ATTEMPTS):
        claim = take(queue)
        assert claim.attempt == 1
        queue.release(claim.lease, was_asked=True)


def test_released_job_waits_as_long_as_it_was_told_to(database: Database, submit: Callable[..., str]) -> None:
    job_id = submit()
    queue = JobQueue(database, "worker")
    queue.release(take(queue).lease, wait_s=3600)
    assert queue.claim("training", SLOT) is None
    change(database, job_id, lease_expires_at=1.0)
    assert take(queue).lease.job_id == job_id
