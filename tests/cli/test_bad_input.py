"""Bad input ends in one clear sentence that names file, row or field and the fix, and leaves nothing half-made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome, ToyJob, write_rows

Cli = Callable[..., Outcome]


def refuses(outcome: Outcome, code: int, *fragments: str) -> None:
    """Non-zero exit, the sentence, and no traceback."""
    assert outcome.code == code, outcome
    assert "Traceback" not in outcome.err
    flat = " ".join(outcome.err.split())
    for fragment in fragments:
        assert fragment in flat, flat


def good_row(text: str = "hello") -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize(
    ("rows", "fragments"),
    [
        ('{"messages": [', ["train.jsonl", "line 1"]),
        (
            json.dumps({"messages": [{"role": "agent", "content": "x"}]}),
            ["line 1", "messages[0].role", "agent", "user"],
        ),
        (json.dumps({"messages": []}), ["line 1", "messages", "empty"]),
        (json.dumps({"prompt": "x"}), ["line 1", "messages"]),
        ("[1, 2]", ["line 1", "object"]),
    ],
    ids=["broken JSON", "unknown role", "empty messages", "no messages", "not an object"],
)
def test_bad_rows_are_named_by_file_line_and_field(cli: Cli, toy_job: ToyJob, rows: str, fragments: list[str]) -> None:
    (toy_job.folder / "train.jsonl").write_text(rows + "\n")
    refuses(cli("train", toy_job.config()), 3, *fragments)
    assert not toy_job.run.exists()


def test_missing_dataset(cli: Cli, toy_job: ToyJob) -> None:
    refuses(cli("train", toy_job.config(data={"train": "nowhere.jsonl"})), 3, "nowhere.jsonl")
    assert not toy_job.run.exists()


def test_unknown_key_names_the_nearest_one(cli: Cli, toy_job: ToyJob) -> None:
    outcome = cli("train", toy_job.config(), "--set", "training.learn_rate=1e-4")
    refuses(outcome, 2, 'unknown key "training.learn_rate"', 'did you mean "training.learning_rate"?')


def test_value_out_of_range_names_the_field(cli: Cli, toy_job: ToyJob) -> None:
    refuses(cli("train", toy_job.config(training={"samples_per_prompt": 1})), 2, '"training.samples_per_prompt"', "2")


def test_prompts_longer_than_the_context(cli: Cli, toy_job: ToyJob) -> None:
    outcome = cli("train", toy_job.config(data={"max_prompt_length": 5000}))
    refuses(outcome, 2, "data.max_prompt_length", "context", "256")


def test_no_prompt_short_enough(cli: Cli, toy_job: ToyJob) -> None:
    refuses(cli("train", toy_job.config(data={"max_prompt_length": 3})), 3, "max_prompt_length")


@pytest.mark.parametrize(
    ("source", "fragments"),
    [
        ("x = 1\n", ["reward.py", "lambda_handler"]),
        ("def lambda_handlr(event, context): return []\n", ["lambda_handler", 'did you mean "lambda_handlr"?']),
        ("def lambda_handler(event context): pass\n", ["reward.py", "line 1"]),
        ("import not_installed_anywhere\n", ["reward.py", "not_installed_anywhere"]),
    ],
    ids=["no handler", "misspelt handler", "syntax error", "import error"],
)
def test_reward_file_that_cannot_be_used(cli: Cli, toy_job: ToyJob, source: str, fragments: list[str]) -> None:
    (toy_job.folder / "reward.py").write_text(source)
    refuses(cli("train", toy_job.config()), 5, *fragments)
    assert not toy_job.run.exists()


SCORE_ALL = (
    "def lambda_handler(event, context):\n    return [{{'id': s['id'], 'aggregate_reward_score': {}}} for s in event]\n"
)


@pytest.mark.parametrize(
    ("source", "fragments"),
    [
        (SCORE_ALL.format("float('nan')"), ["NaN"]),
        (SCORE_ALL.format("'high'"), ["high"]),
        ("def lambda_handler(event, context):\n    return []\n", ["scores"]),
        ("def lambda_handler(event, context):\n    while True: pass\n", ["0.3"]),
        ("def lambda_handler(event, context):\n    raise KeyError('answer')\n", ["KeyError"]),
    ],
    ids=["NaN", "text", "too few", "hangs", "raises"],
)
def test_handler_that_cannot_score_stops_the_run_with_the_reason(
    cli: Cli, toy_job: ToyJob, source: str, fragments: list[str]
) -> None:
    (toy_job.folder / "reward.py").write_text(source)
    config = toy_job.config(reward={"timeout_s": 0.3, "retries": 0})
    outcome = cli("train", config)
    assert outcome.code in (5, 7), outcome
    refuses(outcome, outcome.code, *fragments)
    assert not (toy_job.run / "result.json").exists()
    assert not (toy_job.run / "adapter").exists()


def test_missing_reward_file(cli: Cli, toy_job: ToyJob) -> None:
    (toy_job.folder / "reward.py").unlink()
    refuses(cli("train", toy_job.config()), 5, "reward.py")


def test_constant_reward_has_no_signal_and_stops_with_the_reason(cli: Cli, toy_job: ToyJob) -> None:
    (toy_job.folder / "reward.py").write_text(SCORE_ALL.format("0.5"))
    refuses(cli("train", toy_job.config()), 7, "differing rewards", "evaluation.allow_no_signal=true")
    going_on = cli("train", toy_job.config(run={"name": "anyway"}), "--set", "evaluation.allow_no_signal=true")
    assert going_on.code == 0, going_on.err


@pytest.mark.parametrize(
    ("model", "fragments"),
    [
        ("no-such-alias", ["no-such-alias", "smollm2-135m"]),
        ("./nowhere", ["nowhere"]),
        ("train.jsonl", ["train.jsonl"]),
    ],
)
def test_model_that_is_none(
    cli: Cli, toy_job: ToyJob, monkeypatch: pytest.MonkeyPatch, model: str, fragments: list[str]
) -> None:
    monkeypatch.chdir(toy_job.folder)
    refuses(cli("train", toy_job.config(), "--model", model), 4, *fragments)
    assert not toy_job.run.exists()


def test_damaged_weights(cli: Cli, toy_job: ToyJob, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "damaged"
    shutil.copytree(toy_job.model, copy)
    (copy / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}broken")
    refuses(cli("train", toy_job.config(), "--model", copy), 4, "damaged")


def test_too_little_memory(cli: Cli, toy_job: ToyJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneward.models.memory.available_memory_bytes", lambda: 1 << 20)
    refuses(cli("train", toy_job.config()), 4, "memory", "GiB", "smaller model")
    assert not toy_job.run.exists()


def test_existing_run_is_not_overwritten(cli: Cli, toy_job: ToyJob) -> None:
    toy_job.run.mkdir(parents=True)
    refuses(cli("train", toy_job.config()), 6, "exists already", "--resume")


def test_run_root_that_cannot_be_made(cli: Cli, toy_job: ToyJob) -> None:
    (toy_job.folder / "file").write_text("")
    refuses(cli("train", toy_job.config(run={"root": str(toy_job.folder / "file" / "runs")})), 6, "run.root")


def test_full_disk_keeps_the_checkpoints_before_it(toy_job: ToyJob) -> None:
    """A file-size limit stands in for a full disk: writes beyond it fail half way."""
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 10, 16 << 10))\n"
        "from tuneward.cli.app import main\n"
        "sys.argv = ['tuneward', *sys.argv[1:]]\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, "train", str(toy_job.config())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "300"})
    refuses(Outcome(done.returncode, done.stdout, done.stderr), 6, "cannot be written")
    assert not list((toy_job.run / "checkpoints").glob("step-*"))


def test_unknown_run_names_the_nearest(cli: Cli, toy_job: ToyJob) -> None:
    (toy_job.run).mkdir(parents=True)
    (toy_job.run / "manifest.json").write_text("{}")
    refuses(cli("runs", "show", "toi", "--root", toy_job.folder / "runs"), 6, 'did you mean "toy"?')


def test_validate_reports_every_problem_and_a_non_zero_code(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    write_rows(path, [good_row(), {"messages": [{"role": "robot", "content": "x"}]}])
    with path.open("a") as file:
        file.write("{broken\n")
    outcome = cli("validate", path, "--no-tokens", "--json")
    assert outcome.code == 3
    report = json.loads(outcome.out)
    lines = {problem["line"] for problem in report["problems"] if problem["severity"] == "error"}
    assert lines == {2, 3}


def test_debug_shows_the_traceback() -> None:
    command = [sys.executable, "-m", "tuneward", "train", "nowhere.yaml", "--debug"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr
    assert done.returncode != 0
