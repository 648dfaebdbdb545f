"""The embedded 135M model, served."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tuneward.config import ServedModelConfig, ServerConfig
from tuneward.jobs.directory import ModelDirectory
from tuneward.jobs.models import ModelService
from tuneward.models.chat import ChatTokenizer
from tuneward.serve.app import create_app
from tuneward.serve.auth import fixed_key
from tuneward.serve.build import build_services
from tuneward.serve.host import ModelHost
from tuneward.serve.server import Server, bind
from tuneward.store.database import Database

pytestmark = pytest.mark.model

ALIAS = "smollm2-135m"
QUESTIONS = ["What is the capital of France?", "Name three colours.", "Wie heißt du? Antworte mit „ü“ und €."]


@pytest.fixture(scope="module")
def url(embedded_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: ARG001  it must be there
    home = tmp_path_factory.mktemp("home")
    config = ServerConfig(home=home, models=(ServedModelConfig(name=ALIAS),), threads=1)
    database = Database(f"sqlite:///{home}/tuneward.db")
    host = ModelHost(ModelDirectory(config), ModelService(database, home), config.serving, threads=1)
    with Server(create_app(build_services(config, host, fixed_key(None))), bind("127.0.0.1", 0)) as server:
        yield server.url


def test_answers_streamed_in_company_are_those_the_library_gives(url: str) -> None:
    import torch

    from tuneward.models.load import load_base
    from tuneward.models.resolve import resolve

    tokenizer = ChatTokenizer.load(resolve(ALIAS))
    plain = load_base(resolve(ALIAS))
    expected = []
    for question in QUESTIONS:
        prompt = tokenizer.render_messages(({"role": "user", "content": question},))
        with torch.no_grad():
            out: Any = plain.generate(torch.tensor([prompt]), max_new_tokens=16, do_sample=False)  # type: ignore[operator]
        expected.append(tokenizer.decode(out[0, len(prompt) :].tolist()))
    assert "Paris" in expected[0]

    async def ask(client: openai.AsyncOpenAI, question: str) -> str:
        stream = await client.chat.completions.create(
            model=ALIAS,
            messages=[{"role": "user", "content": question}],
            temperature=0,
            max_tokens=16,
            stream=True,
            logprobs=True,
        )
        parts, data = [], b""
        async for chunk in stream:
            choice = chunk.choices[0]
            parts.append(choice.delta.content or "")
            data += b"".join(bytes(e.bytes or []) for e in (choice.logprobs.content or [])) if choice.logprobs else b""
        assert data.decode(errors="replace") == "".join(parts)
        return "".join(parts)

    async def everyone() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            return await asyncio.gather(*(ask(client, question) for question in QUESTIONS * 2))

    assert asyncio.run(everyone()) == expected * 2
