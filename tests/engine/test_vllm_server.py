"""A server as a process: it is really started and really ended, and says why when it does not run."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tests.engine import vllm_stand_in

from tuneward.config import parse_config
from tuneward.engine.engine import Engine
from tuneward.engine.sampler import SamplingParams
from tuneward.engine.vllm_client import VllmClient
from tuneward.engine.vllm_server import VllmServer
from tuneward.errors import ConfigError, EngineError
from tuneward.models.chat import ChatTokenizer
from tuneward.rl.policy import Policy
from tuneward.runs.prepare import build_policy
from tuneward.runs.rollout_engine import rollout_engine, serve_arguments
from tuneward.types import Prompt, Row

STAND_IN = shlex.join([sys.executable, str(Path(vllm_stand_in.__file__))])
ROOT = Path(__file__).parents[2]


class Job:
    def __init__(
        self, model: Path, folder: Path, command: str = f"{STAND_IN} serve", rank: int = 4, timeout: float = 60
    ):
        torch.set_num_threads(1)
        self.log = folder / "vllm.log"
        self.config = parse_config(
            {
                "model": str(model),
                "data": {"train": "train.jsonl", "max_prompt_length": 100},
                "reward": {"file": "reward.py"},
                "lora": {"r": rank},
                "training": {"max_completion_tokens": 8},
                "rollout": {
                    "engine": "vllm",
                    "command": command,
                    "startup_timeout_s": timeout,
                    "concurrency": 1,
                    "adapter_folder": str(folder),
                },
            }
        )
        self.tokenizer = ChatTokenizer.load(model)
        self.policy: Policy = build_policy(self.config, model, 10)

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        with rollout_engine(self.config, self.policy, self.tokenizer, self.log) as engine:
            yield engine

    def sample(self, engine: Engine) -> int:
        row = Row("r", ({"role": "user", "content": "?"},))
        prompt = Prompt(row, self.tokenizer.render(row))
        (group,) = engine.sample([prompt], 4, SamplingParams(8), run_seed=0, step=1)
        return len(group.completions)


def server_of(engine: Engine) -> VllmServer:
    check = engine._client._check  # type: ignore[attr-defined]
    server: VllmServer = check.__self__
    return server


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_a_server_is_started_used_and_ended(
    tiny_chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("VIRTUAL_ENV", "/nowhere")
    job = Job(tiny_chat_model, tmp_path)
    with job.engine() as engine:
        server = server_of(engine)
        pid = server._process.pid
        assert is_running(pid)
        assert os.getpgid(pid) == pid
        assert job.sample(engine) == 4
        with pytest.raises(EngineError, match="status 401"):  # others on this machine have no key
            VllmClient(server.url, key=None, timeout_s=5).get("/v1/models")
    assert not is_running(pid)
    with pytest.raises(ConnectionRefusedError):
        VllmClient(server.url, key=None, timeout_s=5)._once("GET", "/health", None)
    assert job.log.read_text().splitlines() == ["environment:", f"serving {tiny_chat_model}"]
    assert [path.name for path in tmp_path.iterdir()] == ["vllm.log"]


def test_a_server_that_does_not_start_shows_the_end_of_its_log(tiny_chat_model: Path, tmp_path: Path) -> None:
    job = Job(tiny_chat_model, tmp_path, "sh -c 'seq 100; echo no such device; exit 3'")
    with pytest.raises(
        EngineError, match=r"ended with status 3\. .*vllm\.log ends with\n(.*\n)*    100\n    no such device$"
    ):
        job.engine().__enter__()


def test_a_program_that_is_not_there_is_named(tiny_chat_model: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"rollout\.command: /opt/none/vllm cannot be started \(No such file"):
        Job(tiny_chat_model, tmp_path, "/opt/none/vllm serve").engine().__enter__()


def test_a_server_that_is_never_healthy_is_ended_with_its_children(tiny_chat_model: Path, tmp_path: Path) -> None:
    children = tmp_path / "children"
    # The child ignores the polite request, as a worker stuck in a kernel does.
    script = f"(trap '' TERM; while :; do sleep 1; done) & echo $! > {children}; echo loading; sleep 1000"
    job = Job(tiny_chat_model, tmp_path, f"sh -c {shlex.quote(script)}", timeout=0.5)
    with pytest.raises(EngineError, match=r"not healthy after 0 s \(rollout\.startup_timeout_s\).*\n    loading"):
        job.engine().__enter__()
    assert wait_for(lambda: not is_running(int(children.read_text())))


def test_a_server_that_dies_in_a_rollout_is_named_at_once_with_the_end_of_its_log(
    tiny_chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneward.engine.vllm_client.RETRY_WAITS_S", (0.5, 1000.0))
    job = Job(tiny_chat_model, tmp_path, f"{STAND_IN} --die-at 3 serve")
    with (
        pytest.raises(EngineError, match=r"ended with status 9\. (.*\n)*    EngineCore died: out of memory$"),
        job.engine() as engine,
    ):
        job.sample(engine)


def test_a_killed_trainer_takes_the_server_with_it(tmp_path: Path) -> None:
    trainer = f"""
import time
from pathlib import Path
from tuneward.engine.vllm_server import VllmServer
server = VllmServer("sh -c 'exec sleep 1000'", [], port=None, key="", log=Path({str(tmp_path / "log")!r}))
print(server._process.pid, flush=True)
time.sleep(1000)
"""
    process = subprocess.Popen([sys.executable, "-c", trainer], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    server = int(process.stdout.readline())
    assert is_running(server)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert wait_for(lambda: not is_running(server))


@pytest.mark.parametrize(("rank", "limit"), [(1, "1"), (4, "8"), (16, "16"), (17, "32"), (300, "320")])
def test_the_server_is_given_a_rank_it_knows(tiny_chat_model: Path, tmp_path: Path, rank: int, limit: str) -> None:
    job = Job(tiny_chat_model, tmp_path, rank=rank)
    arguments = serve_arguments(job.config, job.policy, tiny_chat_model, 108)
    assert arguments[arguments.index("--max-lora-rank") + 1] == limit


def test_a_rank_no_server_can_hold_is_refused(tiny_chat_model: Path, tmp_path: Path) -> None:
    job = Job(tiny_chat_model, tmp_path, rank=513)
    with pytest.raises(ConfigError, match=r"lora\.r is 513, but vLLM holds adapters up to rank 512"):
        job.engine().__enter__()
