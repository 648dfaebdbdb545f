"""What validation tells about a job that cannot work: the code, the parameter, and the lines or settings at fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.jobs.engine import Engine, rows

from tuneward.errors import PassingDataError, StoreError
from tuneward.jobs.journal import Journal
from tuneward.jobs.places import job_home
from tuneward.jobs.process.context import AskedToEndError, JobContext
from tuneward.jobs.process.ending import fail
from tuneward.jobs.process.failures import describe
from tuneward.jobs.process.validation import validate
from tuneward.jobs.queue import JobQueue
from tuneward.jobs.row_report import problems_of, read_row_report
from tuneward.jobs.spec import FileSource, JobSpec, LogsSource, UriSource
from tuneward.store.tables import Job


@contextmanager
def context_of(engine: Engine, job_id: str) -> Iterator[JobContext]:
    """The job as its process has it, in this process."""
    claim = JobQueue(engine.database, "worker").claim("validation")
    assert claim is not None
    assert claim.lease.job_id == job_id
    lost: list[Exception] = []
    journal = Journal(engine.database, claim.lease, on_lost=lost.append, check_s=60)
    spec = JobSpec.model_validate(engine.job(job_id).spec)
    try:
        yield JobContext(engine.config, engine.home, engine.database, journal, job_id, "proj_mine", spec)
        journal.flush()
    finally:
        journal.close()
    assert not lost


@pytest.fixture
def run(engine: Engine) -> Callable[[JobSpec], Job]:
    """Validate a job as its process does; returns it afterwards."""

    def validated(spec: JobSpec) -> Job:
        job_id = engine.submit(spec)
        with context_of(engine, job_id) as context:
            try:
                validate(context)
            except Exception as error:
                fail(context, describe(error, context))
        return engine.job(job_id)

    return validated


def failure(job: Job) -> tuple[str, str | None, str]:
    assert job.state == "failed"
    assert job.lease_owner is None
    assert job.finished_at is not None
    assert job.error is not None
    return job.error["code"], job.error["param"], job.error["message"]


GOOD = b'{"messages": [{"role": "user", "content": "2+2?"}], "reference_answer": "4"}\n'


def uploaded(engine: Engine, content: bytes) -> FileSource:
    """A file with lines that an upload would not have let through, as objects in a bucket may have them."""
    file_id = engine.upload(GOOD)
    engine.files.path("proj_mine", file_id).write_bytes(content)
    return FileSource(file_id=file_id)


def test_job_in_order_is_queued(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    job = run(engine.spec())
    assert (job.state, job.lease_owner, job.attempts) == ("queued", None, 0)
    assert engine.messages(job.id)[-1] == "Files validated, moving job to queued state"
    assert any(message.startswith("Data: 10 training rows, 4 validation rows") for message in engine.messages(job.id))
    assert job.phases["validation"]["ended_at"] is not None


def test_bad_lines_of_the_training_file_are_named(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    bad = GOOD + b'{"messages": "hello"}\n' + GOOD + b"{not json\n" + GOOD
    code, param, message = failure(run(engine.spec(training=uploaded(engine, bad))))
    assert (code, param) == ("invalid_training_file", "training_file")
    assert message.startswith("2 lines of the training file cannot be used. Line 2: messages")
    assert "Line 4: " in message
    assert str(engine.home) not in message


def test_bad_lines_of_the_validation_file_are_named(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    training = FileSource(file_id=engine.upload(rows("train", 10)))
    spec = engine.spec(training=training, validation=(uploaded(engine, GOOD + b'{"messages": []}\n'),))
    code, param, message = failure(run(spec))
    assert (code, param) == ("invalid_validation_file", "validation_file")
    assert message.startswith("1 line of the validation file cannot be used. Line 2: messages")


def test_only_the_first_bad_lines_are_named(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    _, _, message = failure(run(engine.spec(training=uploaded(engine, b"{}\n" * 12))))
    assert "Line 5:" in message
    assert "Line 6:" not in message
    assert message.endswith("And 7 more.")


def test_failure_is_an_event_too(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    job = run(engine.spec(training=uploaded(engine, b"{}\n")))
    last = engine.events(job.id)[-1]
    assert (last.level, last.code, last.message) == ("error", "failed", failure(job)[2])


def test_missing_file_is_a_failure_of_its_parameter(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    spec = engine.spec()
    missing = spec.model_copy(update={"training": FileSource(file_id="file-gone")})
    assert failure(run(missing))[:2] == ("invalid_training_file", "training_file")
    missing = spec.model_copy(update={"validation": (FileSource(file_id="file-gone"),)})
    assert failure(run(missing))[:2] == ("invalid_validation_file", "validation_file")


def test_wrong_hyperparameter_is_named(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    code, param, message = failure(run(engine.spec(config={"training": {"learning_rate": 7}})))
    assert (code, param) == ("invalid_hyperparameters", "method")
    assert "training.learning_rate" in message


def test_model_that_is_not_configured_any_more(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    code, param, message = failure(run(engine.spec(base_model="other")))
    assert (code, param) == ("model_not_found", "model")
    assert "tiny" in message


def test_reward_that_always_fails(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    reward = engine.home / "broken.py"
    reward.write_text("def lambda_handler(event, context):\n    raise KeyError('answer')\n")
    code, param, message = failure(run(engine.spec(config={"reward": {"file": str(reward), "retries": 0}})))
    assert (code, param) == ("invalid_grader", "grader")
    assert "answer" in message


def test_too_little_memory(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    code, param, message = failure(run(engine.spec(config={"training": {"memory_gb": 0.001}})))
    assert (code, param) == ("out_of_memory", "model")
    assert "training.memory_gb" in message


def test_place_for_results_that_cannot_be_written(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    blocked = engine.home / "a-file"
    blocked.write_text("")
    code, param, _ = failure(run(engine.spec(output_uri=f"{blocked}/results")))
    assert (code, param) == ("output_not_writable", "output_data")


def test_unexpected_failure_shows_no_traceback(
    engine: Engine, run: Callable[[JobSpec], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("tuneward.jobs.process.validation.check_data", break_down)
    code, _, message = failure(run(engine.spec()))
    assert code == "internal_error"
    assert "RuntimeError" in message
    assert "secret" not in message


def test_rows_ask_for_the_form_of_answers_that_the_job_wants(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    job = run(engine.spec(response_format=wanted, config={"data": {"max_prompt_length": 249}}))
    assert job.state == "queued", job.error
    stored: Path = engine.home / "projects" / "proj_mine" / "jobs" / job.id / "inputs" / "train.jsonl"
    lines = stored.read_text().splitlines()
    assert len(lines) == 10
    assert all("It must follow this JSON schema" in line for line in lines)


def test_tracker_that_is_not_there_is_a_warning(
    engine: Engine, run: Callable[[JobSpec], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    job = run(engine.spec(integrations=({"type": "wandb", "wandb": {"project": "mine"}},)))
    assert job.state == "queued"
    warnings = [event.message for event in engine.events(job.id) if event.code == "integration"]
    assert len(warnings) == 1
    assert "Weights & Biases" in warnings[0]


def test_asked_to_end_leaves_the_job_as_it_is(engine: Engine) -> None:
    job_id = engine.submit()
    with context_of(engine, job_id) as context:
        context.asked.set()
        with pytest.raises(AskedToEndError):
            validate(context)
    assert engine.job(job_id).state == "validating"


def test_what_became_of_logged_calls_is_an_event(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    logs = engine.home / "objects" / "bucket" / "logs"
    logs.mkdir(parents=True)
    body = {"messages": [{"role": "user", "content": [{"text": "2+2?"}]}]}
    record = {"schemaType": "ModelInvocationLog", "operation": "Converse", "input": {"inputBodyJson": body}}
    (logs / "a.json").write_text(json.dumps(record) + "\n{}\n")
    job = run(engine.spec(training=LogsSource(uri="s3://bucket/logs/")))
    (told,) = [event for event in engine.events(job.id) if event.code == "converted"]
    assert told.message.startswith("s3://bucket/logs/: ")
    assert "1" in told.message


def test_a_store_that_is_away_is_no_fault_of_the_file(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = engine.submit()

    def away(*_: object) -> None:
        raise StoreError("The database cannot be used at the moment; try again.")

    monkeypatch.setattr("tuneward.jobs.files.FileService.path", away)
    with context_of(engine, job_id) as context, pytest.raises(StoreError):
        validate(context)
    assert engine.job(job_id).state == "validating"


def test_storage_that_is_away_is_told_and_waited_for_unless_the_process_is_to_end(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        context.asked.set()
        raise PassingDataError("The object storage could not be reached.")

    monkeypatch.setattr("tuneward.data.objects.ObjectStore.download", away)
    job_id = engine.submit(engine.spec(training=UriSource(uri="s3://bucket/rows.jsonl")))
    with context_of(engine, job_id) as context, pytest.raises(AskedToEndError):
        validate(context)
    assert engine.job(job_id).state == "validating"
    assert any(message.startswith("Rows could not be fetched yet: ") for message in engine.messages(job_id))


@pytest.mark.parametrize("method", ["reinforcement", "supervised"])
def test_every_bad_line_can_be_read_back(engine: Engine, run: Callable[[JobSpec], Job], method: str) -> None:
    learned = b'{"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}\n'
    source = uploaded(engine, learned + b'{"messages": 1}\n' * 30)
    config = {} if method == "supervised" else engine.spec().config
    job = run(JobSpec(method=method, base_model="tiny", training=source, config=config))
    code, param, message = failure(job)
    assert (code, param) == ("invalid_training_file", "training_file")
    assert "30 lines of the training file cannot be used. Line 2: " in message
    report = read_row_report(job_home(engine.home, "proj_mine", job.id))
    assert report is not None
    assert str(engine.home) not in json.dumps(report)
    assert (report["train"]["rows"], report["train"]["bad_lines"]) == (1, 30)
    found, has_more = problems_of(report, limit=100, severity="error", file="training")
    assert ([problem["line"] for problem in found], has_more) == (list(range(2, 32)), False)


def test_a_supervised_job_in_order_has_its_lengths_counted(engine: Engine, run: Callable[[JobSpec], Job]) -> None:
    lessons = [
        {"messages": [{"role": "user", "content": f"say {i}"}, {"role": "assistant", "content": "yes"}]}
        for i in range(8)
    ]
    job = run(JobSpec(method="supervised", base_model="tiny", training=FileSource(file_id=engine.upload(lessons))))
    assert job.state == "queued", job.error
    report = read_row_report(job_home(engine.home, "proj_mine", job.id))
    assert report is not None
    assert report["ok"]
    assert report["train"]["prompt_tokens"]["count"] == 8
