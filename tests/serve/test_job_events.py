"""Events, metrics and checkpoints as clients read them, made of the records that a run writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.serve.job_rows import JUDGE, MULTI, World, reinforcement, world

BASE = {"kind": "evaluation", "step": 0, "reward_mean": 0.1, "rows": 4, "timing": {"seconds": 1.5}}
STEP = {
    "kind": "step", "step": 1, "reward_mean": 0.42, "loss": 0.1, "entropy": 0.62, "grad_norm": 0.0009,
    "completion_length_mean": 519.0, "completion_tokens": 4152, "verdict_ok": 6, "grader_errors": 2,
    "metric/exact": 0.25, "metric/alike": 0.5, "fault/exact/sample_parse_error": 0.5,
    "judge_calls": 4, "judge_prompt_tokens": 100, "judge_completion_tokens": 20,
    "timing": {"seconds_rollout": 2.0, "seconds_update": 3.0, "seconds_step": 5.5},
}  # fmt: skip
EVALUATION = {
    "kind": "evaluation", "step": 1, "reward_mean": 0.68, "rows": 4, "metric/exact": 0.75,
    "fault/exact/sample_parse_error": 0.25, "judge_calls": 2, "judge_prompt_tokens": 30, "timing": {"seconds": 1.5},
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("events")) as server:
        yield server


def events_of(server: World, job: Any) -> list[Any]:
    return list(server.client.fine_tuning.jobs.list_events(job.id))


def metrics_of(server: World, job: Any) -> dict[int, Any]:
    """Step → metrics event."""
    return {event.data["step"]: event for event in events_of(server, job) if event.type == "metrics"}


def test_the_resolved_numbers_stand_in_an_event(made: World) -> None:
    job = made.create(seed=7)
    newest, first = events_of(made, job)
    assert first.message == f"Created fine-tuning job: {job.id}"
    assert newest.message == (
        "Hyperparameters: 7 epochs, 4 prompts a step, 8 samples a prompt, at most 128 tokens an answer, "
        "validation every 9 steps, learning rate 0.0001, seed 7"
    )
    assert (newest.object, newest.level, newest.type) == ("fine_tuning.job.event", "info", "message")


def test_a_step_has_one_metrics_event_with_the_evaluation_after_it(made: World) -> None:
    job = made.create(method=reinforcement(MULTI))
    made.record(job, BASE, STEP)
    assert metrics_of(made, job)[1].data["full_valid_mean_reward"] is None
    made.record(job, EVALUATION)
    found = metrics_of(made, job)
    assert sorted(found) == [0, 1]
    assert found[1].message == (
        "Step 1/20 , train mean reward=0.42, full validation mean reward=0.68, full validation mean parse error=0.25"
    )
    assert (found[0].data["train_mean_reward"], found[0].data["full_valid_mean_reward"]) == (None, 0.1)
    # Those who look only at what is new find the evaluation there.
    newest = events_of(made, job)[0]
    assert (newest.type, newest.data["full_valid_mean_reward"]) == ("message", 0.68)


def test_metrics_have_the_keys_that_both_services_document(made: World) -> None:
    job = made.create(method=reinforcement(MULTI))
    made.record(job, STEP, EVALUATION)
    data = metrics_of(made, job)[1].data
    assert {name: data[name] for name in ("step", "total_steps", "train_mean_reward", "full_valid_mean_reward")} == {
        "step": 1, "total_steps": 20, "train_mean_reward": 0.42, "full_valid_mean_reward": 0.68,
    }  # fmt: skip
    assert data["mean_unresponsive_rewards"] == 0.25
    assert data["scores"]["train_reward_mean"] == 0.42
    assert data["scores"]["graders"] == [
        {"name": "exact", "type": "string_check", "train_reward_mean": 0.25, "valid_reward_mean": 0.75},
        {"name": "alike", "type": "text_similarity", "train_reward_mean": 0.5, "valid_reward_mean": None},
    ]
    exact, alike = data["errors"]["graders"]
    assert (exact["train_sample_parse_error_mean"], exact["train_sample_parse_error_count"]) == (0.5, 4)
    assert (exact["valid_sample_parse_error_mean"], exact["valid_sample_parse_error_count"]) == (0.25, 1)
    assert (alike["train_other_error_mean"], alike["train_other_error_count"]) == (0, 0)
    assert data["timing"]["step"] == {"eval": 1.5, "sampling": 2.0, "training": 3.0, "full_iteration": 7.0}
    names = ("critic_rewards_mean", "actor_pg_loss", "actor_entropy", "actor_grad_norm", "response_length_mean")
    assert [data[name] for name in names] == [0.42, 0.1, 0.62, 0.0009, 519.0]
    assert data["critic_advantages_mean"] is None  # documented, and not measured


def test_tokens_of_a_judge_are_told(made: World) -> None:
    job = made.create(method=reinforcement(JUDGE))
    made.record(job, STEP, EVALUATION)
    data = metrics_of(made, job)[1].data
    (judge,) = data["usage"]["graders"]
    assert (judge["model"], judge["train_prompt_tokens_count"], judge["train_prompt_tokens_mean"]) == ("tiny", 100, 25)
    assert data["model_graders_token_usage"]["tiny"]["eval_prompt_tokens"] == 30
    assert data["model_graders_token_usage"]["tiny"]["train_completion_tokens"] == 20


def test_a_supervised_job_has_losses(made: World) -> None:
    job = made.client.fine_tuning.jobs.create(model="tiny", training_file=made.train)
    made.record(
        job,
        {"kind": "step", "step": 60, "loss": 0.734, "token_accuracy": 0.8},
        {"kind": "evaluation", "step": 60, "loss": 1.459, "token_accuracy": 0.6},
        total_steps=200,
    )
    event = metrics_of(made, job)[60]
    assert event.message == "Step 60/200: training loss=0.73, validation loss=1.46"
    assert event.data == {
        "step": 60, "total_steps": 200, "train_loss": 0.734, "train_mean_token_accuracy": 0.8,
        "valid_loss": 1.459, "valid_mean_token_accuracy": 0.6,
        "full_valid_loss": 1.459, "full_valid_mean_token_accuracy": 0.6,
    }  # fmt: skip


def test_other_records_are_messages_in_words(made: World) -> None:
    job = made.create()
    made.record(job, {"kind": "preflight", "step": 0, "message": "Half of the groups have signal."})
    event = events_of(made, job)[0]
    assert (event.type, event.message) == ("message", "Half of the groups have signal.")


def test_events_come_page_by_page_with_their_evaluations(made: World) -> None:
    job = made.create()
    for step in range(1, 8):
        made.record(job, {**STEP, "step": step})
        if step % 2 == 0:
            made.record(job, {**EVALUATION, "step": step, "reward_mean": step / 10})
    jobs: Any = made.client.fine_tuning.jobs
    found: list[Any] = []
    after = None
    while True:
        page = jobs.list_events(job.id, limit=3, **({"after": after} if after else {}))
        found += page.data
        if not page.has_more:
            break
        after = page.data[-1].id
    assert [event.to_dict() for event in found] == [event.to_dict() for event in events_of(made, job)]
    valid = {event.data["step"]: event.data["full_valid_mean_reward"] for event in found if event.type == "metrics"}
    assert valid == {1: None, 2: 0.2, 3: None, 4: 0.4, 5: None, 6: 0.6, 7: None}


def test_checkpoints_have_metrics_and_cursors(made: World) -> None:
    job = made.create()
    names = [
        made.checkpoint(job, step, train={**STEP, "step": step}, validation={**EVALUATION, "step": step})
        for step in (5, 10, 15)
    ]
    checkpoints = made.client.fine_tuning.jobs.checkpoints
    page = checkpoints.list(job.id, limit=2)
    assert [checkpoint.step_number for checkpoint in page.data] == [15, 10]
    assert page.has_more
    newest = page.data[0]
    assert (newest.object, newest.fine_tuned_model_checkpoint) == ("fine_tuning.job.checkpoint", names[-1])
    assert newest.fine_tuning_job_id == job.id
    assert newest.metrics.to_dict() == {
        "step": 15, "train_mean_reward": 0.42, "full_valid_mean_reward": 0.68, "completion_tokens_mean": 519.0,
    }  # fmt: skip
    assert [checkpoint.step_number for checkpoint in checkpoints.list(job.id, limit=2)] == [15, 10, 5]
    raw = checkpoints.with_raw_response.list(job.id).http_response.json()
    assert (raw["first_id"], raw["last_id"]) == (raw["data"][0]["id"], raw["data"][-1]["id"])


def test_a_checkpoint_that_was_not_evaluated_has_nulls(made: World) -> None:
    job = made.create()
    made.checkpoint(job, 3, train=dict(STEP), validation=None)
    (checkpoint,) = made.client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert checkpoint.metrics.to_dict()["full_valid_mean_reward"] is None
