"""Reading, listing and steering jobs with OpenAI's own client; states are written as a worker would write them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from starlette.requests import Request
from tests.serve.job_rows import MULTI, World, reinforcement, world

from tuneward.accounts.principal import DEFAULT_PROJECT, Principal, Role
from tuneward.jobs.service import NewJob
from tuneward.jobs.spec import JobSpec, UriSource
from tuneward.jobs.states import STATES, TERMINAL, State

CALLERS: dict[str, tuple[str, Role]] = {
    "any": (DEFAULT_PROJECT, "admin"),
    "colleague": (DEFAULT_PROJECT, "developer"),
    "reader": (DEFAULT_PROJECT, "viewer"),
    "stranger": ("proj_other", "admin"),
}


async def by_name(request: Request) -> Principal:
    name = request.headers["authorization"].removeprefix("Bearer ")
    project, role = CALLERS[name]
    return Principal(f"key_{name}", project, "000000000000" if project == DEFAULT_PROJECT else "000000000077", role)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("jobs"), authenticate=by_name) as server:
        server.project("proj_other", "000000000077")
        yield server


def jobs_of(server: World, caller: str = "any") -> Any:
    return server.client.with_options(api_key=caller).fine_tuning.jobs


def body_of(server: World, **changes: Any) -> dict[str, Any]:
    return {"model": "tiny", "training_file": server.train, "method": reinforcement(), **changes}


def test_a_job_has_every_documented_field(made: World) -> None:
    job = made.create(suffix="icd10", seed=42, metadata={"team": "med"})
    found = jobs_of(made).retrieve(job.id)
    assert found.to_dict() == job.to_dict()
    assert (found.object, found.status, found.model, found.training_file) == (
        "fine_tuning.job", "validating_files", "tiny", made.train,
    )  # fmt: skip
    assert found.id.startswith("ftjob-")
    documented = {
        "object", "id", "model", "created_at", "finished_at", "estimated_finish", "fine_tuned_model",
        "organization_id", "result_files", "status", "validation_file", "training_file", "trained_tokens", "error",
        "user_provided_suffix", "seed", "integrations", "method", "metadata", "usage_metrics", "eval_id",
        "shared_with_openai",
    }  # fmt: skip
    assert documented <= set(found.to_dict())
    assert found.error is None


def test_auto_is_shown_until_the_data_was_looked_at_and_numbers_afterwards(made: World) -> None:
    job = made.create(method=reinforcement(hyperparameters={"n_epochs": 3, "batch_size": "auto"}))
    before = job.method.reinforcement.hyperparameters
    assert (before.n_epochs, before.batch_size, before.reasoning_effort) == (3, "auto", "default")
    made.enter(job, "queued")
    after = jobs_of(made).retrieve(job.id).method.reinforcement.hyperparameters
    assert (after.n_epochs, after.batch_size, after.compute_multiplier, after.learning_rate_multiplier) == (3, 4, 1, 1)


def test_a_multi_grader_is_read_back_as_it_was_sent(made: World) -> None:
    job = made.create(method=reinforcement(MULTI))
    answer = httpx.get(f"{made.url}/v1/fine_tuning/jobs/{job.id}", headers={"authorization": "Bearer any"}).json()
    assert answer["method"]["reinforcement"]["grader"] == MULTI


def test_a_job_of_the_other_dialect_can_be_read_too(made: World) -> None:
    function = "arn:aws:lambda:us-east-1:123456789012:function:mine"
    spec = JobSpec(
        method="reinforcement",
        base_model="tiny",
        training=UriSource(uri="s3://bucket/train.jsonl"),
        config={"reward": {"function": function}, "training": {"prompts_per_step": 16}},
    )
    new = NewJob(
        dialect="bedrock", model="amazon.nova-2-lite-v1:0", spec=spec, request={"jobName": "night"}, name="night"
    )
    row = made.services.jobs.create(Principal("key_any", DEFAULT_PROJECT, "000000000000", "admin"), new)
    made.enter(row, "queued")
    url = f"{made.url}/v1/fine_tuning/jobs/ftjob-{row.id}"
    job = httpx.get(url, headers={"authorization": "Bearer any"}).json()
    assert (job["training_file"], job["model"], job["seed"]) == (
        "s3://bucket/train.jsonl", "amazon.nova-2-lite-v1:0", 0,
    )  # fmt: skip
    method = job["method"]["reinforcement"]
    assert method["grader"] == {"type": "lambda", "lambda": {"function": function}}
    assert (method["hyperparameters"]["batch_size"], method["hyperparameters"]["n_epochs"]) == (16, "auto")
    assert row.id in [listed.id.removeprefix("ftjob-") for listed in jobs_of(made).list()]


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_documented_status(made: World, state: State) -> None:
    job = made.create()
    made.enter(job, state)
    found = jobs_of(made).retrieve(job.id)
    expected = {
        "validating": "validating_files", "pausing": "running", "stopping": "running", "stopped": "cancelled",
    }  # fmt: skip
    assert found.status == expected.get(state, state)
    assert (found.finished_at is not None) == (state in TERMINAL)


def test_success_and_failure_are_told(made: World) -> None:
    job = made.create()
    name = made.tune(job)
    assert (jobs_of(made).retrieve(job.id).status, jobs_of(made).retrieve(job.id).fine_tuned_model) == (
        "succeeded", name,
    )  # fmt: skip
    job = made.create()
    reason = {"code": "invalid_training_file", "message": "Line 3: no messages.", "param": "training_file"}

    def fail(_session: Any, row: Any) -> None:
        row.state, row.error, row.finished_at = "failed", reason, 1.0
        row.progress = {"trained_tokens": 12}
        row.phases = {"training": {"started_at": 1.0, "ended_at": 3.5}}

    made.change(job, fail)
    found = jobs_of(made).retrieve(job.id)
    assert (found.status, found.error.to_dict(), found.trained_tokens) == ("failed", reason, 12)
    assert found.usage_metrics == {"training_seconds": 2.5, "trained_tokens": 12}


def test_pause_resume_and_cancel(made: World) -> None:
    job, jobs = made.create(), jobs_of(made)
    made.enter(job, "running")
    assert jobs.pause(job.id).status == "running"  # the step under way is finished first
    made.enter(job, "paused")
    assert jobs.retrieve(job.id).status == "paused"
    assert jobs.resume(job.id).status == "queued"
    assert jobs.cancel(job.id).status == "cancelled"
    for action in (jobs.cancel, jobs.pause, jobs.resume):
        with pytest.raises(openai.BadRequestError, match="is cancelled"):
            action(job.id)


def test_cancelling_needs_no_body_and_no_content_type(made: World) -> None:
    url = f"{made.url}/v1/fine_tuning/jobs/{made.create().id}/cancel"
    answer = httpx.post(url, headers={"authorization": "Bearer any"})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


def test_jobs_are_listed_newest_first_page_by_page(made: World) -> None:
    ids = [made.create(metadata={"list": "pages"}).id for _ in range(5)]
    page = jobs_of(made).list(limit=2, metadata={"list": "pages"})
    assert [job.id for job in page.data] == ids[:2:-1]
    assert page.has_more
    assert [job.id for job in page] == ids[::-1]  # the client asks for the further pages


def test_jobs_are_chosen_by_metadata(made: World) -> None:
    red = made.create(metadata={"colour": "red", "size": ""}).id
    made.create(metadata={"colour": "blue"})
    plain = made.create().id
    jobs = jobs_of(made)
    assert [job.id for job in jobs.list(metadata={"colour": "red", "size": ""})] == [red]
    bare = {job.id for job in jobs.list(extra_query={"metadata": "null"})}
    assert plain in bare
    assert red not in bare
    with pytest.raises(openai.BadRequestError):
        jobs.list(extra_query={'metadata[a"b]': "x"})


def test_a_request_that_is_sent_again_makes_no_second_job(made: World) -> None:
    headers = {"authorization": "Bearer any", "x-stainless-retry-count": "0"}
    url, body = f"{made.url}/v1/fine_tuning/jobs", body_of(made, metadata={"sent": "twice"})
    first = httpx.post(url, json=body, headers=headers).json()["id"]
    again = httpx.post(url, json=body, headers=headers | {"x-stainless-retry-count": "1"}).json()["id"]
    meant = httpx.post(url, json=body, headers=headers).json()["id"]  # no repeat: the same thing is wanted twice
    other = httpx.post(
        url, json=body_of(made, metadata={"sent": "else"}), headers=headers | {"x-stainless-retry-count": "1"}
    ).json()["id"]
    assert again == first
    assert len({first, meant, other}) == 3


def test_a_client_that_loses_the_answer_ends_up_with_one_job(made: World) -> None:
    """The client sees 503 although the job was made, and sends the request again by itself."""
    seen: list[str] = []

    def lose_first(request: httpx.Request) -> httpx.Response:
        with httpx.Client() as wire:
            answer = wire.send(request)
        seen.append(answer.json()["id"])
        return answer if len(seen) > 1 else httpx.Response(503, headers={"retry-after-ms": "1"})

    transport: Any = httpx.Client(transport=httpx.MockTransport(lose_first))
    client = openai.OpenAI(base_url=f"{made.url}/v1", api_key="any", http_client=transport)
    job = client.fine_tuning.jobs.create(**body_of(made, metadata={"answer": "lost"}))
    assert seen == [job.id, job.id]
    assert len(jobs_of(made).list(metadata={"answer": "lost"}).data) == 1


def test_an_idempotency_key_makes_one_job_also_at_the_same_time(made: World) -> None:
    def create(_: int) -> str:
        header = {"Idempotency-Key": "night-run"}
        return str(jobs_of(made).create(**body_of(made, metadata={"key": "used"}), extra_headers=header).id)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(create, range(8)))) == 1
    with pytest.raises(openai.BadRequestError, match="another body"):
        jobs_of(made).create(**body_of(made, seed=1), extra_headers={"Idempotency-Key": "night-run"})


def test_other_projects_see_nothing_and_readers_change_nothing(made: World) -> None:
    job = made.create()
    stranger, reader = jobs_of(made, "stranger"), jobs_of(made, "reader")
    assert stranger.list().data == []
    calls = (stranger.retrieve, stranger.cancel, stranger.pause, stranger.list_events, stranger.checkpoints.list)
    for call in calls:
        with pytest.raises(openai.NotFoundError) as theirs:
            call(job.id)
        with pytest.raises(openai.NotFoundError) as nobody:
            call("ftjob-absent")
        assert theirs.value.message.replace(job.id, "ftjob-absent") == nobody.value.message
    assert reader.retrieve(job.id).id == job.id
    for call in (reader.cancel, reader.pause, reader.resume):
        with pytest.raises(openai.PermissionDeniedError):
            call(job.id)
    with pytest.raises(openai.PermissionDeniedError):
        reader.create(**body_of(made))


def test_too_many_jobs_are_refused_until_one_has_ended(made: World) -> None:
    made.services.jobs._active_jobs, before = 0, made.services.jobs._active_jobs
    try:
        with pytest.raises(openai.RateLimitError):
            made.create()
    finally:
        made.services.jobs._active_jobs = before
