"""The embedded 135M model: fetched, converted, read by plain libraries, and a teachable one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.conftest import Outcome

from tuneward.models.chat import ChatTokenizer
from tuneward.models.load import load_base
from tuneward.models.pull import pull
from tuneward.types import Row

pytestmark = pytest.mark.model

ALIAS = "smollm2-135m"


@pytest.fixture
def folder(embedded_model: Path) -> Path:
    return embedded_model


def test_pulling_again_does_nothing(folder: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    said: list[str] = []
    assert pull(ALIAS, said.append) == folder
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert "already" in said[0]


def test_plain_transformers_reads_the_folder_in_fp32(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    assert next(model.parameters()).dtype == torch.float32
    assert 134_000_000 < sum(p.numel() for p in model.parameters()) < 136_000_000


def test_chat_template_stop_set_and_pad_are_the_models(folder: Path) -> None:
    tokenizer = ChatTokenizer.load(folder)
    assert tokenizer.stop_tokens() == ["<|im_end|>"]
    assert tokenizer.tokenizer.pad_token == tokenizer.tokenizer.eos_token
    rendered = tokenizer.decode_raw(tokenizer.render(Row("r", ({"role": "user", "content": "hi"},))))
    assert rendered.endswith("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")


def test_it_answers_sensibly_as_under_plain_transformers(folder: Path, cli: Callable[..., Outcome]) -> None:
    outcome = cli("generate", ALIAS, "What is the capital of France?", "--max-tokens", 12, "--json")
    answer = json.loads(outcome.out)[0]["text"]
    assert "Paris" in answer
    tokenizer = ChatTokenizer.load(folder)
    ids = torch.tensor([tokenizer.render(Row("r", ({"role": "user", "content": "What is the capital of France?"},)))])
    generated = load_base(folder).generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]  # type: ignore[operator]
    assert answer == tokenizer.decode(generated.tolist())


@pytest.mark.usefixtures("folder")
def test_one_step_of_the_demo_runs_and_reports(cli: Callable[..., Outcome], tmp_path: Path) -> None:
    small = {
        "threads": 1,
        "training.max_steps": 1,
        "training.prompts_per_step": 2,
        "training.samples_per_prompt": 4,
        "evaluation.max_rows": 4,
        "evaluation.preflight_prompts": 2,
        "evaluation.allow_no_signal": "true",
    }
    overrides = [word for key, value in small.items() for word in ("--set", f"{key}={value}")]
    outcome = cli("demo", "--root", tmp_path, *overrides)
    assert outcome.code == 0, outcome.err
    assert "before and after" in outcome.out
    assert f"tuneward chat {tmp_path / 'demo'}" in outcome.out
    result = json.loads((tmp_path / "demo" / "result.json").read_text())
    assert result["steps"] == 1
    again = cli("demo", "--root", tmp_path, *overrides, "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["base"] == result["base"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("folder")
def test_the_demo_teaches_the_model_its_task(cli: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = cli("demo", "--root", tmp_path, "--json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["base"]["exact"] < 0.05
    assert result["tuned"]["exact"] >= 0.9, (result["steps"], result["stopped_because"])
    assert result["p_value"] < 0.001
