"""A whole run on a tiny model: what it leaves behind, and how it stops, resumes and refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.conftest import Outcome, ToyJob

Cli = Callable[..., Outcome]


def adapter_bytes(run: Path) -> bytes:
    return (run / "adapter" / "adapter_model.safetensors").read_bytes()


def test_a_run_leaves_everything_it_promises(cli: Cli, toy_job: ToyJob) -> None:
    outcome = cli("train", toy_job.config(), "--json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result == json.loads((toy_job.run / "result.json").read_text())
    assert {"exact", "reward"} == set(result["base"]) == set(result["tuned"])
    assert result["steps"] == 5
    assert result["is_complete"] is True
    assert 0 <= result["p_value"] <= 1
    assert 0 < result["train_seconds"] < result["total_seconds"]
    for name in ("config.yaml", "manifest.json", "data_report.json", "samples.jsonl", "report.html"):
        assert (toy_job.run / name).stat().st_size > 0, name
    header = (toy_job.run / "step_wise_training_metrics.csv").read_text().splitlines()[0].split(",")
    assert {"step_number", "epoch_number", "training_loss", "train_reward_mean", "policy_entropy"} <= set(header)
    assert (toy_job.run / "validation_metrics.csv").read_text().count("\n") == 1 + 4  # steps 0, 2, 4 and the last


def test_prove_tells_how_far_the_engine_is_from_the_naive_path_and_changes_nothing(cli: Cli, toy_job: ToyJob) -> None:
    assert cli("train", toy_job.config()).code == 0
    plain = adapter_bytes(toy_job.run)
    shutil.rmtree(toy_job.run)
    outcome = cli("train", toy_job.config(), "--prove")
    assert outcome.code == 0, outcome.err
    records = [json.loads(line) for line in (toy_job.run / "metrics.jsonl").read_text().splitlines()]
    (proved,) = [record for record in records if record.get("code") == "proved"]
    assert re.search(r"gradient by \d\.\de-0[5-9] of its norm", proved["message"]), proved
    assert proved["timing"]["seconds_naive"] > 0
    assert adapter_bytes(toy_job.run) == plain


def test_steps_record_every_promised_number(cli: Cli, toy_job: ToyJob) -> None:
    from tuneward.records import EVALUATION_METRICS, STEP_METRICS, TIMING_METRICS

    assert cli("train", toy_job.config(training={"beta": 0.01, "mismatch_max_ratio": 3.0})).code == 0
    records = [json.loads(line) for line in (toy_job.run / "metrics.jsonl").read_text().splitlines()]
    steps = [record for record in records if record["kind"] == "step"]
    assert [record["step"] for record in steps] == [1, 2, 3, 4, 5]
    for record in steps:
        missing = {metric.name for metric in STEP_METRICS} - set(record)
        # Without signal nothing is trained, so what training measures is absent.
        assert missing == set() or record["zero_signal_share"] == 1, missing
        assert {metric.name for metric in TIMING_METRICS} <= set(record["timing"])
        assert record["mismatch_mean"] < 1e-4
    evaluations = [record for record in records if record["kind"] == "evaluation"]
    assert [record["step"] for record in evaluations] == [0, 2, 4, 5]
    for record in evaluations[1:]:
        assert {metric.name for metric in EVALUATION_METRICS} <= set(record)
        assert record["kl_ref"] > 0


def test_plain_transformers_and_peft_load_the_adapter_with_the_same_logprobs(cli: Cli, toy_job: ToyJob) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from tuneward.runs.prepare import engine_for

    assert cli("train", toy_job.config()).code == 0
    engine = engine_for(str(toy_job.run))
    prompt, completion = tuple(range(5, 25)), tuple(range(40, 50))
    with torch.no_grad():
        ours = engine.logprobs([(prompt, completion)], 1.0)
        plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(toy_job.model), toy_job.run / "adapter")
        logits = plain(input_ids=torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
        base = AutoModelForCausalLM.from_pretrained(toy_job.model)
        untuned = base(input_ids=torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
    chosen = torch.tensor(completion)[:, None]
    theirs = logits.log_softmax(-1).gather(-1, chosen)[:, 0]
    assert float((ours - theirs).abs().max()) <= 1e-5
    assert float((untuned.log_softmax(-1).gather(-1, chosen)[:, 0] - theirs).abs().max()) > 1e-3  # it did learn


def test_stopped_at_a_step_and_resumed_equals_one_sitting(cli: Cli, toy_job: ToyJob) -> None:
    assert cli("train", toy_job.config(), "--name", "whole").code == 0
    stopped = cli("train", toy_job.config(), "--stop-at", 3, "--json")
    assert json.loads(stopped.out)["is_complete"] is False
    listed = json.loads(cli("runs", "list", "--root", toy_job.folder / "runs", "--json").out)
    assert {run["run"]: run["state"] for run in listed} == {"whole": "finished", "toy": "stopped"}
    assert cli("train", "--resume", toy_job.run).code == 0
    assert adapter_bytes(toy_job.run) == adapter_bytes(toy_job.folder / "runs" / "whole")


def test_a_finished_run_is_not_resumed(cli: Cli, toy_job: ToyJob) -> None:
    assert cli("train", toy_job.config()).code == 0
    outcome = cli("train", "--resume", toy_job.run)
    assert outcome.code == 6
    assert "finished" in outcome.err


@pytest.mark.parametrize(
    ("file", "text"), [("train.jsonl", '{"messages": [{"role": "user", "content": "new"}]}\n'), ("reward.py", "#\n")]
)
def test_resume_refuses_inputs_that_changed(cli: Cli, toy_job: ToyJob, file: str, text: str) -> None:
    assert cli("train", toy_job.config(), "--stop-at", 2).code == 0
    with (toy_job.folder / file).open("a") as handle:
        handle.write(text)
    outcome = cli("train", "--resume", toy_job.run)
    assert outcome.code == 6
    assert file in outcome.err


def test_resume_passes_over_a_torn_checkpoint(cli: Cli, toy_job: ToyJob) -> None:
    assert cli("train", toy_job.config(), "--name", "whole").code == 0
    assert cli("train", toy_job.config(), "--stop-at", 3).code == 0
    torn = toy_job.run / "checkpoints" / "step-000003" / "adapter" / "adapter_model.safetensors"
    torn.write_bytes(torn.read_bytes()[:-100])
    assert cli("train", "--resume", toy_job.run).code == 0
    assert adapter_bytes(toy_job.run) == adapter_bytes(toy_job.folder / "runs" / "whole")


def test_two_processes_cannot_train_one_run(cli: Cli, toy_job: ToyJob) -> None:
    from tuneward.runs.folder import RunFolder

    assert cli("train", toy_job.config(), "--stop-at", 2).code == 0
    with RunFolder(toy_job.run).locked():
        outcome = cli("train", "--resume", toy_job.run)
    assert outcome.code == 6
    assert "another process" in outcome.err


def test_ctrl_c_once_finishes_the_step_and_saves(toy_job: ToyJob) -> None:
    config = toy_job.config(training={"max_steps": 500, "epochs": 50}, evaluation={"every_steps": 1000})
    with subprocess.Popen(
        [sys.executable, "-m", "tuneward", "train", config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("step 2/"):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Go on with" in out
    result = json.loads((toy_job.run / "result.json").read_text())
    assert result["is_complete"] is False
    assert "SIGINT" in result["stopped_because"]
    newest = max((toy_job.run / "checkpoints").glob("step-*"))
    assert newest.name == f"step-{result['steps']:06d}"


def test_ctrl_c_twice_stops_at_once_without_a_traceback(toy_job: ToyJob) -> None:
    (toy_job.folder / "reward.py").write_text(
        (toy_job.folder / "reward.py").read_text().replace("scores = []", "import time; time.sleep(0.2); scores = []")
    )
    config = toy_job.config(training={"max_steps": 500, "epochs": 50}, evaluation={"every_steps": 1000})
    with subprocess.Popen(
        [sys.executable, "-m", "tuneward", "train", config],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("step 1/"):
                process.send_signal(signal.SIGINT)
                process.send_signal(signal.SIGINT)
                break
        _, err = process.communicate(timeout=120)
    assert process.returncode in (0, 130), err
    assert "Traceback" not in err


def test_evaluate_compare_and_generate_work_on_a_run_and_on_a_model(cli: Cli, toy_job: ToyJob) -> None:
    assert cli("train", toy_job.config()).code == 0
    root = toy_job.folder / "runs"
    tuned = json.loads(cli("evaluate", "toy", "--root", root, "--json").out)
    data, reward = toy_job.folder / "validation.jsonl", toy_job.folder / "reward.py"
    limit = ("--set", "training.max_completion_tokens=6", "--set", "data.max_prompt_length=100")
    base = json.loads(cli("evaluate", toy_job.model, "--data", data, "--reward", reward, *limit, "--json").out)
    compared = json.loads(cli("compare", "toy", "--root", root, "--json").out)
    result = json.loads((toy_job.run / "result.json").read_text())
    assert compared["base_reward"] == pytest.approx(base["reward_mean"]) == pytest.approx(result["base"]["reward"])
    assert compared["tuned_reward"] == pytest.approx(tuned["reward_mean"]) == pytest.approx(result["tuned"]["reward"])
    answers = json.loads(cli("generate", toy_job.run, "hello", "-n", 2, "--seed", 1, "--max-tokens", 5, "--json").out)
    assert len(answers) == 2
    assert all(answer["completion_tokens"] <= 5 for answer in answers)


def test_greedy_generation_equals_that_of_transformers(cli: Cli, toy_job: ToyJob) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ours = json.loads(cli("generate", toy_job.model, "hello", "--max-tokens", 8, "--json").out)[0]["text"]
    tokenizer = AutoTokenizer.from_pretrained(toy_job.model)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hello"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    model = AutoModelForCausalLM.from_pretrained(toy_job.model)
    generated = model.generate(**ids, max_new_tokens=8, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert ours == tokenizer.decode(generated, skip_special_tokens=True)
