"""`tuneward serve`: what it says, what it serves, and what is left when it is told to stop."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import openai
import pytest
from tests.conftest import Outcome, ToyJob
from tests.tiny import save_tiny_chat_model

from tuneward.accounts.keys import create_access_key
from tuneward.accounts.principal import Principal
from tuneward.accounts.vault import open_vault
from tuneward.config import ServedModelConfig, ServerConfig
from tuneward.errors import ConfigError, RunError
from tuneward.jobs.directory import ModelDirectory
from tuneward.jobs.models import ModelService
from tuneward.jobs.places import open_database
from tuneward.serve.host import ModelHost
from tuneward.serve.internal_key import internal_key
from tuneward.serve.runs import open_runs
from tuneward.serve.worker_processes import WorkerProcesses
from tuneward.store.tables import ApiKey

HELLO: Any = [{"role": "user", "content": "Hello"}]


@dataclass
class Started:
    process: subprocess.Popen[str]
    url: str
    greeting: list[str]
    """What it has said, line by line."""

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(120) == 0

    def children(self) -> list[int]:
        task = Path(f"/proc/{self.process.pid}/task")
        return [int(pid) for file in task.glob("*/children") for pid in file.read_text().split()]


@contextmanager
def serving(*arguments: object, key: str | None = None, **variables: str) -> Iterator[Started]:
    command = [sys.executable, "-m", "tuneward", "serve", "--port", "0", "--threads", "1", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "TUNEWARD_API_KEY"}
    environment |= {"COLUMNS": "200"} | ({"TUNEWARD_API_KEY": key} if key else {}) | variables
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            lines = [process.stdout.readline()]
            found = re.search(r"Serving .* at (http://127\.0\.0\.1:\d+)/v1", lines[0])
            assert found, lines[0] + process.stderr.read()
            while not lines[-1].startswith("AWS:"):
                lines.append(process.stdout.readline())
                assert lines[-1]
            yield Started(process, found[1], lines)
        finally:
            process.kill()


def wait_until(condition: Callable[[], Any], limit_s: float = 60) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_server_is_ready_before_torch_is_loaded_and_its_first_key_opens_every_door(
    tmp_path: Path, tiny_chat_model: Path
) -> None:
    with serving("--model", tiny_chat_model, "--home", tmp_path, "--workers", 1) as server:
        assert "libtorch" not in Path(f"/proc/{server.process.pid}/maps").read_text()
        text = "".join(server.greeting)
        found = re.search(r"export TUNEWARD_API_KEY=(tw-\S+)", text)
        assert found
        key = found[1]
        assert httpx.get(f"{server.url}/v1/models").status_code == 401
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key=key) as client:
            assert [model.id for model in client.models.list()] == ["tiny"]
            answer = client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=4, temperature=0)
        issued = create_access_key(
            open_database(ServerConfig(home=tmp_path)), open_vault(tmp_path), "proj_default", "aws", "developer"
        )
        runtime = boto3.client(
            "bedrock-runtime",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id=issued.info.id,
            aws_secret_access_key=issued.secret,
        )
        messages = [{"role": "user", "content": [{"text": "Hello"}]}]
        config = {"maxTokens": 4, "temperature": 0.0}
        said = runtime.converse(modelId="tiny", messages=messages, inferenceConfig=config)
        assert said["output"]["message"]["content"][0]["text"] == answer.choices[0].message.content
        wait_until(server.children)  # the worker
        workers = server.children()
        server.stop()
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    with serving("--model", tiny_chat_model, "--home", tmp_path, "--no-worker") as server:
        assert "TUNEWARD_API_KEY=" not in "".join(server.greeting)  # shown once
        assert httpx.get(f"{server.url}/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert server.children() == []
        server.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_answers_under_way_end_before_the_server_does(
    number: signal.Signals, tmp_path: Path, tiny_chat_model: Path
) -> None:
    arguments = ("--model", tiny_chat_model, "--home", tmp_path, "--no-worker", "--preload")
    with serving(*arguments, key="secret") as server:
        assert "Authorization: Bearer $TUNEWARD_API_KEY" in "".join(server.greeting)
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="secret") as client:
            stream: Any = client.chat.completions.create(
                model="tiny", messages=HELLO, stream=True, max_tokens=40, logit_bias={"2": -100}
            )
            chunks = [next(stream)]
            server.process.send_signal(number)
            chunks += list(stream)
        assert chunks[-1].choices[0].finish_reason == "length"
        assert server.process.wait(60) == 0
        assert server.process.stderr is not None
        assert "Traceback" not in server.process.stderr.read()


def test_a_tuned_run_and_its_base_share_one_model_and_answer_as_generate_does(
    toy_job: ToyJob, cli: Callable[..., Outcome]
) -> None:
    assert cli("train", toy_job.config(training={"learning_rate": 0.1})).code == 0
    root = toy_job.folder / "runs"
    said = cli("generate", "toy", "Hello", "--max-tokens", 12, "--root", root)
    config = ServerConfig(home=toy_job.folder / "home", models=(ServedModelConfig(name=str(toy_job.model)),))
    models = ModelService(open_database(config), toy_job.folder / "home")
    host = ModelHost(ModelDirectory(config), models, config.serving, threads=1, runs=open_runs(["toy"], root))
    me = Principal("key_1", "proj_default", "000000000000", "viewer")

    async def ask() -> None:
        from tuneward.serve.inference import to_engine
        from tuneward.serve.openai.chat import chat_of
        from tuneward.serve.openai.chat_request import ChatRequest

        async with host.use(me, toy_job.model.name) as base, host.use(me, "toy") as tuned:
            assert base.engine is tuned.engine
            assert tuned.version.startswith("adapter-")
            wanted = {"model": "toy", "messages": HELLO, "temperature": 0, "max_tokens": 12}
            events = tuned.engine.stream(to_engine(chat_of(ChatRequest.model_validate(wanted)), tuned))
            assert "".join(getattr(event, "text", "") for event in events) == said.out.removesuffix("\n")

    asyncio.run(ask())
    assert [card.id for card in host.cards(me)] == ["tiny", "toy"]
    host.close()
    with pytest.raises(ConfigError, match='Two models would be called "toy"'):
        open_runs(["toy", str(root / "toy")], root)
    with pytest.raises(RunError, match='No run "first"'):
        open_runs(["first"], root)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "./nothing"], 'No model "./nothing" here'),
        (["--model", "tiny", "--model", "tiny"], 'two models would be called "tiny"'),
        (["--config", "none.yaml"], "none.yaml: no such configuration file"),
        (["--set", "serving.max_row=3"], 'unknown key "serving.max_row"; did you mean "serving.max_rows"?'),
        (["--tls-certificate", "none.pem"], "no TLS certificate"),
        (["--database", "mysql://x"], '"mysql" is not known'),
        (["--run", "first"], 'No run "first"'),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_is(
    arguments: list[str], said: str, cli: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cli("serve", "--home", tmp_path / "home", "--port", "0", *arguments)
    assert ended.code != 0
    assert said in " ".join(ended.err.split())


def test_the_configuration_file_and_the_flags_make_one_configuration(
    cli: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server.yaml").write_text("port: 1\nregion: eu-west-1\nserving:\n  max_rows: 5\n  max_waiting: 6\n")
    made: list[Any] = []
    monkeypatch.setattr("tuneward.cli.serve._Serving.until_stopped", lambda self, **_: made.append(self._settings))
    flags = ("--port", 2, "--max-rows", 7, "--model", "owner/name", "--no-worker", "--set", "limits.active_jobs=3")
    assert cli("serve", "--config", tmp_path / "server.yaml", *flags).code == 0
    settings = made[0]
    assert (settings.port, settings.region, settings.workers) == (2, "eu-west-1", 0)
    assert (settings.serving.max_rows, settings.serving.max_waiting) == (7, 6)
    assert [model.name for model in settings.models] == ["owner/name"]
    assert settings.limits.active_jobs == 3


def test_the_key_of_judges_sees_nobodys_models_and_ends_with_the_server(tmp_path: Path) -> None:
    database = open_database(ServerConfig(home=tmp_path))

    def keys() -> list[ApiKey]:
        return database.read(lambda session: list(session.query(ApiKey)))

    for _ in range(2):
        with internal_key(database) as key:
            (row,) = keys()
            assert key.endswith(row.hint)
            assert (row.role, row.project_id != "proj_default") == ("developer", True)
        assert keys() == []


def test_a_worker_that_dies_is_started_again_and_all_end_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lasting.py").write_text("import signal\nsignal.sigwait([signal.SIGTERM])\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    workers = WorkerProcesses(2, [], {}, module="lasting")
    workers.start()
    wait_until(lambda: len(workers.pids) == 2)
    before = set(workers.pids)
    os.kill(workers.pids[0], signal.SIGKILL)
    wait_until(lambda: len(workers.pids) == 2 and set(workers.pids) != before)
    pids = workers.pids
    workers.stop()
    assert workers.pids == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.slow
def test_the_command_of_the_page_on_serving_runs(tmp_path: Path) -> None:
    model = save_tiny_chat_model(tmp_path / "models" / "smollm2-135m")
    (model / "tuneward.json").write_text("{}")
    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()
    (command,) = re.findall(r"```bash\n(.*?)\n```", page, re.DOTALL)
    program, name, *arguments = shlex.split(command)
    assert (program, name) == ("tuneward", "serve")
    with serving(*arguments, TUNEWARD_HOME=str(tmp_path)) as server:
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        server.stop()


def test_workers_are_told_to_stop_when_the_server_is_killed(tmp_path: Path, tiny_chat_model: Path) -> None:
    with serving("--model", tiny_chat_model, "--home", tmp_path, "--workers", 1) as server:
        wait_until(server.children)
        (worker,) = server.children()
        ended = Path(f"/proc/{worker}")
        server.process.kill()
        server.process.wait()
        wait_until(lambda: not ended.exists() or "(zombie)" in (ended / "status").read_text())
