"""Graders from grader objects, and what they are asked; every grader is closed at the end of its test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tuneward.config import GraderConfig
from tuneward.rewards.openai import OpenAIGrader
from tuneward.types import Row, Sample, Score

Grade = Callable[..., list[Score]]


@pytest.fixture
def make_grader() -> Iterator[Callable[..., OpenAIGrader]]:
    graders: list[OpenAIGrader] = []

    def make(grader: Any, **config: Any) -> OpenAIGrader:
        graders.append(OpenAIGrader(GraderConfig(openai=grader, **{"isolation": "process", "retries": 0, **config})))
        return graders[-1]

    yield make
    for grader in graders:
        grader.close()


@pytest.fixture
def grade(make_grader: Callable[..., OpenAIGrader]) -> Grade:
    """Scores of completions of one row."""

    def scores(grader: Any, *completions: str, item: dict[str, Any] | None = None, **config: Any) -> list[Score]:
        row = Row("r", ({"role": "user", "content": "7*8?"},), None, item or {})
        samples = [Sample(f"s-{index}", row, text) for index, text in enumerate(completions)]
        return make_grader(grader, **config).score(samples)

    return scores
