"""From names to a running server: what is loaded, and what the command says and does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import openai
import pytest
from tests.conftest import Outcome, ToyJob

from tuneward.errors import ConfigError, ModelError, RunError
from tuneward.serve.load import load_catalog

HELLO = [{"role": "user", "content": "Hello"}]


def test_a_tuned_run_and_its_base_share_one_model_and_answer_as_generate_does(
    toy_job: ToyJob, cli: Callable[..., Outcome]
) -> None:
    assert cli("train", toy_job.config(training={"learning_rate": 0.1})).code == 0
    root = toy_job.folder / "runs"
    said = cli("generate", "toy", "Hello", "--max-tokens", 12, "--root", root)
    catalog = load_catalog([str(toy_job.model)], ["toy"], root=root, threads=1)
    try:
        base, tuned = catalog.models
        assert (base.id, tuned.id) == (toy_job.model.name, "toy")
        assert base.engine is tuned.engine
        assert tuned.version.startswith("adapter-")
        from tuneward.serve.openai.chat import to_engine
        from tuneward.serve.openai.chat_request import ChatRequest

        wanted = {"model": "toy", "messages": HELLO, "temperature": 0, "max_tokens": 12}
        events = tuned.engine.stream(to_engine(ChatRequest.model_validate(wanted), tuned))
        assert "".join(getattr(event, "text", "") for event in events) == said.out.removesuffix("\n")
    finally:
        catalog.close()


def test_what_cannot_be_served_is_said_before_anything_is(tiny_chat_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Nothing to serve"):
        load_catalog([], [])
    with pytest.raises(ConfigError, match='Two models would be called "tiny"'):
        load_catalog([str(tiny_chat_model)] * 2, [], threads=1)
    with pytest.raises(ModelError):
        load_catalog(["no-such-model"], [])
    with pytest.raises(RunError, match='No run "first"'):
        load_catalog([], ["first"], root=tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_the_command_serves_until_it_is_told_to_stop(number: signal.Signals, tiny_chat_model: Path) -> None:
    command = [sys.executable, "-m", "tuneward", "serve", "--model", tiny_chat_model, "--port", "0", "--threads", "1"]
    environment = os.environ | {"TUNEWARD_API_KEY": "secret", "COLUMNS": "200"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        found = re.search(r"Serving tiny at (http://127\.0\.0\.1:\d+)/v1", line)
        assert found, line + process.stderr.read()
        assert "Authorization: Bearer $TUNEWARD_API_KEY" in process.stdout.readline()
        assert httpx.get(f"{found[1]}/v1/models").status_code == 401
        with openai.OpenAI(base_url=f"{found[1]}/v1", api_key="secret") as client:
            stream = client.chat.completions.create(
                model="tiny", messages=HELLO, stream=True, max_tokens=40, logit_bias={"2": -100}
            )  # type: ignore[call-overload]
            chunks = [next(stream)]
            process.send_signal(number)
            chunks += list(stream)
        assert chunks[-1].choices[0].finish_reason == "length"  # what was under way has ended
        assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()
