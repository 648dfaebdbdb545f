"""A server on a tiny model and three adapters, and OpenAI's own client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from tests.service import app_with
from tests.serving import save_adapter, start_engine

from tuneward.engine.serving.adapters import load_adapter
from tuneward.serve.catalog import FixedCatalog, ServedModel
from tuneward.serve.server import Server, bind


@pytest.fixture(scope="package")
def adapters(tiny_chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return [save_adapter(folder / str(seed), tiny_chat_model, seed=seed) for seed in range(3)]


@pytest.fixture(scope="package")
def catalog(tiny_chat_model: Path, adapters: list[Path]) -> FixedCatalog:
    engine = start_engine(tiny_chat_model)
    tuned = [
        ServedModel(f"tuned-{number}", engine, 1, load_adapter(engine.base, folder))
        for number, folder in enumerate(adapters)
    ]
    return FixedCatalog([ServedModel("owner/tiny", engine, 1), *tuned])


@pytest.fixture(scope="package")
def url(catalog: FixedCatalog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Server(app_with(tmp_path_factory.mktemp("home"), catalog.models), bind("127.0.0.1", 0)) as server:
        yield server.url


@pytest.fixture(scope="package")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as made:
        yield made
