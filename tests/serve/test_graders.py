"""Graders tried out over HTTP with OpenAI's own client."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from tests.service import app_with
from tests.serving import LIMITS, start_engine
from tests.tiny import save_tiny_chat_model

from tuneward.config import ConnectionConfig
from tuneward.serve.catalog import ServedModel
from tuneward.serve.server import Server, address_of, bind

EXACT = {
    "type": "string_check", "name": "exact", "operation": "eq",
    "input": "{{sample.output_json.code}}", "reference": "{{item.code}}",
}  # fmt: skip
JUDGE = {
    "type": "score_model", "name": "judge", "model": "owner/tiny", "range": [0, 1],
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    "sampling_params": {"max_completions_tokens": 150},
}  # fmt: skip


def run(client: openai.OpenAI, grader: Any, sample: str, item: Any = None) -> Any:
    return client.fine_tuning.alpha.graders.run(grader=grader, model_sample=sample, item=item or {})


def test_a_grader_is_echoed_and_run(client: openai.OpenAI) -> None:
    assert client.fine_tuning.alpha.graders.validate(grader=EXACT).grader.name == "exact"  # type: ignore[arg-type, union-attr]
    assert run(client, EXACT, '{"code": "E11"}', {"code": "E11"}).reward == 1
    missed = run(client, EXACT, "no JSON at all", {"code": "E11"})
    assert (missed.reward, missed.metadata.errors.sample_parse_error) == (0, True)


def test_a_wrong_grader_is_refused_with_the_place(client: openai.OpenAI, url: str) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        client.fine_tuning.alpha.graders.validate(grader={**EXACT, "operation": "almost"})  # type: ignore[arg-type]
    assert str(refusal.value.param).endswith("operation")
    answer = httpx.post(f"{url}/v1/fine_tuning/alpha/graders/run", json={"grader": EXACT})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model_sample")
    answer = httpx.post(f"{url}/v1/fine_tuning/alpha/graders/run", json=[1])
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.fixture
def judge_client(tmp_path: Path) -> Iterator[openai.OpenAI]:
    """A server whose model has room for a judge's instructions, and that asks itself."""
    folder = save_tiny_chat_model(tmp_path / "tiny", context=2048)
    engine = start_engine(folder, dataclasses.replace(LIMITS, context=2048, pool_tokens=16384))
    listener = bind("127.0.0.1", 0)
    app = app_with(
        tmp_path / "home",
        [ServedModel("owner/tiny", engine, 1)],
        judges=ConnectionConfig(url=f"{address_of(listener)}/v1"),
    )
    with Server(app, listener) as server, openai.OpenAI(base_url=f"{server.url}/v1", api_key="any") as client:
        yield client


def test_a_judge_is_a_model_that_this_server_serves(judge_client: openai.OpenAI) -> None:
    judged = run(judge_client, JUDGE, "56")
    errors = judged.metadata.errors
    assert not errors.api_model_grader_parse_error, errors
    assert not errors.api_model_grader_server_error, errors
    assert 0 <= judged.reward <= 1
    assert judged.metadata.sampled_model_name == "owner/tiny"
