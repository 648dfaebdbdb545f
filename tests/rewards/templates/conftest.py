"""Templates as functions: one sample in, one entry of the answer out; and rows of public data sets."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuneward.rewards.sandbox.probe import sandbox_problem

DATA = Path(__file__).parents[4] / "shared" / "data"

Entry = dict[str, Any]
Answer = Callable[..., Entry]
Score = Callable[..., float]


@pytest.fixture
def answer() -> Answer:
    """The entry that a template answers for one completion; extras of the row are keyword arguments."""

    def call(template: str, reference: Any, completion: Any, **extras: Any) -> Entry:
        skip_unless_usable(template)
        module = importlib.import_module(f"tuneward.rewards.templates.{template}")
        metadata = extras if reference is None else {**extras, "reference_answer": reference}
        messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": completion}]
        event = [{"id": "s-1", "messages": messages, **metadata, "metadata": metadata}]
        (entry,) = module.lambda_handler(event, None)
        assert entry["id"] == "s-1"
        return dict(entry)

    return call


@pytest.fixture
def score(answer: Answer) -> Score:
    """The reward of one completion; the sample must be scored."""

    def call(template: str, reference: Any, completion: Any, **extras: Any) -> float:
        entry = answer(template, reference, completion, **extras)
        assert "error" not in entry, entry
        return float(entry["aggregate_reward_score"])

    return call


def skip_unless_usable(template: str) -> None:
    """Skip where a template's programs could not run in a sandbox."""
    if template == "code_tests" and (problem := sandbox_problem()):
        pytest.skip(f"no sandbox here: {problem}")


def data_file(*parts: str) -> Path:
    """A file of the public data sets, which lie beside the checkout where they are at all."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {path}")
    return path


def json_lines(*parts: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data_file(*parts).read_text(encoding="utf-8").splitlines() if line.strip()]
