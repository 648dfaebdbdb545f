"""A store with jobs, and workers on a tiny model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.jobs.engine import Engine


@pytest.fixture
def engine(tmp_path: Path, tiny_chat_model: Path) -> Iterator[Engine]:
    yield from started(Engine(tmp_path, tiny_chat_model))


@pytest.fixture
def engine_on_postgresql(tmp_path: Path, tiny_chat_model: Path, postgres_url: str) -> Iterator[Engine]:
    yield from started(Engine(tmp_path, tiny_chat_model, postgres_url))


def started(engine: Engine) -> Iterator[Engine]:
    yield engine
    engine.database.close()
