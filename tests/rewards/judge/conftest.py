"""Scripted judge servers and clients; all are closed at the end of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.rewards.judge.server import Script, ScriptedServer

from tuneward.config.reward import ConnectionConfig, GraderConfig
from tuneward.rewards.judge.judge import JudgeGrader
from tuneward.rewards.judge.limited_client import LimitedClient
from tuneward.rewards.judge.openai_client import OpenAIProvider
from tuneward.types import Row, Sample

PLAIN_RUBRIC = """Is the answer right?

{{prompt}} {{reference}} {{response}}
"""


@pytest.fixture(autouse=True)
def no_key_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[[Script], ScriptedServer]]:
    servers: list[ScriptedServer] = []

    def make(script: Script) -> ScriptedServer:
        servers.append(ScriptedServer(script))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., LimitedClient]]:
    clients: list[LimitedClient] = []

    def make(server: ScriptedServer, **connection: Any) -> LimitedClient:
        config = ConnectionConfig(url=server.url, **connection)
        clients.append(LimitedClient(OpenAIProvider(config), config, backoff_s=0.001))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def make_judge(connect: Callable[..., LimitedClient], tmp_path: Path) -> Iterator[Callable[..., JudgeGrader]]:
    """A judge at a scripted server; `rubric` may be the text of a rubric file."""
    graders: list[JudgeGrader] = []

    def make(server: ScriptedServer, *, connection: dict[str, Any] | None = None, **judge: Any) -> JudgeGrader:
        rubric = judge.pop("rubric", PLAIN_RUBRIC)
        if "\n" in rubric:
            file = tmp_path / "own.md"
            file.write_text(rubric)
            rubric = str(file)
        config = GraderConfig(judge={"model": "judge-1", "rubric": rubric, **judge}, connection=connection or {})
        graders.append(JudgeGrader(config, client=connect(server, **(connection or {}))))
        return graders[-1]

    yield make
    for grader in graders:
        grader.close()


@pytest.fixture
def samples() -> Callable[..., list[Sample]]:
    def make(*completions: str, **fields: Any) -> list[Sample]:
        row = Row("r-1", ({"role": "user", "content": "7*8?"},), "56", fields, line=3)
        return [Sample(f"s-{index}", row, text) for index, text in enumerate(completions)]

    return make
