"""A registry in a temporary home, and functions that are closed at the end of their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tuneward.rewards.functions import FunctionRegistry, LocalFunction


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FunctionRegistry:
    monkeypatch.setenv("TUNEWARD_HOME", str(tmp_path / "home"))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    return FunctionRegistry()


@pytest.fixture
def start(registry: FunctionRegistry) -> Iterator[Callable[..., LocalFunction]]:
    """Start a registered function, in a plain process unless told otherwise."""
    functions: list[LocalFunction] = []

    def make(reference: str, **options: Any) -> LocalFunction:
        functions.append(LocalFunction(registry, reference, **{"isolation": "process", "workers": 1, **options}))
        return functions[-1]

    yield make
    for function in functions:
        function.close()
