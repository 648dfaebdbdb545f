"""`tuneward plan`, and a run that keeps to its plan."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from tests.conftest import Outcome, ToyJob

from tuneward.config import load_config
from tuneward.engine.engine import Engine
from tuneward.models.chat import ChatTokenizer
from tuneward.models.resolve import resolve
from tuneward.runs.plan import describe_job, make_plan
from tuneward.runs.prepare import build_policy, load_prompts, make_schedule
from tuneward.runs.probe import probe_speed

Cli = Callable[..., Outcome]


def test_plan_tells_memory_and_with_a_probe_time_and_starts_nothing(cli: Cli, toy_job: ToyJob) -> None:
    outcome = cli("plan", toy_job.config(), "--probe")
    assert outcome.code == 0, outcome.err
    for words in (
        "merged copies",
        "Peak ",
        "tokens per micro-batch",
        "A step takes about",
        "5 steps and 4 evaluations",
    ):
        assert words in outcome.out
    assert not toy_job.run.exists()
    told = json.loads(cli("plan", toy_job.config(), "--json").out)
    assert told["time"] is None
    peak = max(sum(parts.values()) for parts in told["memory"].values())
    assert told["plan"]["peak_memory_bytes"] == peak


def test_a_job_beyond_its_memory_is_refused_before_the_model_is_loaded(
    cli: Cli, toy_job: ToyJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneward.runs.prepare.load_base", lambda *_, **__: pytest.fail("loaded"))
    outcome = cli("train", toy_job.config(training={"memory_gb": 0.01}))
    assert outcome.code == 4
    assert "only 0.0 GiB are allowed by training.memory_gb" in outcome.err
    assert not toy_job.run.exists()


def test_a_resumed_run_decides_as_the_first_did_whatever_the_machine_then_has(
    cli: Cli, toy_job: ToyJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("train", toy_job.config()).code == 0
    whole = (toy_job.run / "adapter" / "adapter_model.safetensors").read_bytes()
    other = toy_job.config(run={"name": "two", "stop_at": 2})
    assert cli("train", other).code == 0
    for name in ("runs.plan", "engine.merged"):  # too little for merged copies or a record
        monkeypatch.setattr(f"tuneward.{name}.available_memory_bytes", lambda: 1000)
    assert cli("train", "--resume", "two", "--root", toy_job.folder / "runs").code == 0
    again = toy_job.folder / "runs" / "two"
    assert (again / "adapter" / "adapter_model.safetensors").read_bytes() == whole
    plan = json.loads((again / "manifest.json").read_text())["plan"]
    assert plan["merged"] is True
    assert plan["record_tokens"] > 0


def test_a_result_holds_predicted_and_measured_memory(cli: Cli, toy_job: ToyJob) -> None:
    assert cli("train", toy_job.config()).code == 0
    memory = json.loads((toy_job.run / "result.json").read_text())["memory"]
    assert set(memory) == {"predicted_bytes", "expected_bytes", "peak_memory_bytes", "ratio"}
    assert 0 < memory["expected_bytes"] <= memory["predicted_bytes"]


def test_a_plan_of_another_version_is_refused_in_words(cli: Cli, toy_job: ToyJob) -> None:
    assert cli("train", toy_job.config(run={"stop_at": 1})).code == 0
    path = toy_job.run / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["plan"]["max_rows"]
    path.write_text(json.dumps(manifest))
    outcome = cli("train", "--resume", "toy", "--root", toy_job.folder / "runs")
    assert outcome.code == 6
    assert "made by another version" in outcome.err


def test_a_probe_leaves_adapter_optimizer_and_random_state_alone(toy_job: ToyJob) -> None:
    config = load_config(toy_job.config())
    folder = resolve(config.model)
    tokenizer = ChatTokenizer.load(folder)
    prompts = load_prompts(config, tokenizer)
    plan = make_plan(config, prompts, describe_job(config, prompts, folder))
    policy = build_policy(config, folder, plan.total_steps, merge=plan.merged)
    before = [parameter.detach().clone() for parameter in policy.parameters]
    random = torch.get_rng_state()
    batch = make_schedule(config, prompts).batch(1)
    time = probe_speed(policy, Engine(policy.packed, tokenizer), batch, prompts.validation, config, plan)
    assert all(torch.equal(*pair) for pair in zip(before, policy.parameters, strict=True))
    assert all(parameter.grad is None for parameter in policy.parameters)
    assert not policy.optimizer.state
    assert torch.equal(torch.get_rng_state(), random)
    assert min(time.rollout_s, time.update_s, time.evaluation_s) > 0
    assert time.job_s == pytest.approx(5 * time.step_s + 4 * time.evaluation_s)
