"""A whole run that samples through a server in vLLM's dialect."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Outcome, ToyJob
from tests.engine.vllm_stand_in import StandIn, running

Cli = Callable[..., Outcome]


def test_a_run_samples_every_step_from_the_newest_adapter(cli: Cli, toy_job: ToyJob) -> None:
    with running(StandIn(toy_job.model)) as server:
        rollout = {"engine": "vllm", "url": server.url, "adapter_folder": str(toy_job.folder / "handover")}
        (toy_job.folder / "handover").mkdir()
        config = toy_job.config(rollout=rollout, training={"max_steps": 2})
        outcome = cli("train", config, "--json")
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out)["is_complete"] is True
        loaded = [body["lora_name"] for body in server.sent("/v1/load_lora_adapter")]
        assert len(set(loaded)) == len(loaded) == 3  # at the start and after each of two updates
        assert server.adapters == {}
    assert list((toy_job.folder / "handover").iterdir()) == []
    records = [json.loads(line) for line in (toy_job.run / "metrics.jsonl").read_text().splitlines()]
    steps = [record for record in records if record["kind"] == "step"]
    assert [record["step"] for record in steps] == [1, 2]
    for record in steps:
        assert record["trained_tokens"] > 0
        assert record["mismatch_max"] < 1e-4
        assert record["mismatch_masked_share"] == 0
        assert record["entropy"] > 1
        assert "bound_fraction" not in record["timing"]
    evaluations = [record for record in records if record["kind"] == "evaluation"]
    assert [record["step"] for record in evaluations] == [0, 2]
    assert not any("entropy" in record for record in evaluations)  # greedy: the server tells none
    assert evaluations[1]["kl_ref"] > 0
    plan = json.loads((toy_job.run / "manifest.json").read_text())["plan"]
    assert plan["record_tokens"] == 0


def test_a_server_that_does_not_fit_ends_the_run_in_one_sentence(cli: Callable[..., Outcome], toy_job: ToyJob) -> None:
    with running(StandIn(toy_job.model)) as server:
        server.version = "0.9.1"
        outcome = cli("train", toy_job.config(rollout={"engine": "vllm", "url": server.url}))
    assert outcome.code == 8
    assert "runs vLLM 0.9.1" in outcome.err
    assert "Traceback" not in outcome.err
    assert not list(Path("/dev/shm").glob("tuneward-adapter-*/policy-*"))
