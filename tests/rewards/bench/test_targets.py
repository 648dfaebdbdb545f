"""What may be named as a grader, and what is expected of each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuneward.config import GraderConfig, RewardConfig
from tuneward.rewards.bench import Nature, bounds_of, find_target, nature_of, without_cache

DATA = Path("rows.jsonl")
MODEL_GRADER = {"type": "score_model", "name": "s", "model": "m", "input": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("reward.py", "file"),
        ("grader.json", "openai"),
        ("math_answer", "template"),
        ("function:sums", "function"),
        ("arn:aws:lambda:us-east-1:123456789012:function:sums", "function"),
        ("http://127.0.0.1:9000/score", "endpoint"),
    ],
)
def test_the_form_of_a_name_tells_the_kind(name: str, kind: str) -> None:
    assert find_target(name, DATA).kind == kind


def test_an_address_on_this_machine_may_be_named() -> None:
    endpoint = find_target("http://127.0.0.1:9000/score", DATA).endpoint
    assert endpoint is not None
    assert endpoint.allow_private


@pytest.mark.parametrize(
    ("settings", "nature"),
    [
        ({"template": "math_answer"}, Nature.RULE),
        ({"judge": {"model": "m"}}, Nature.JUDGE),
        ({"function": "sums"}, Nature.UNKNOWN),
        ({"openai": {"type": "string_check"}}, Nature.RULE),
        ({"openai": MODEL_GRADER}, Nature.JUDGE),
        ({"openai": {"type": "multi", "graders": {"a": MODEL_GRADER}}}, Nature.JUDGE),
        ({"compose": {"parts": {"a": {"template": "x"}, "b": {"template": "y"}}}}, Nature.RULE),
        ({"compose": {"parts": {"a": {"template": "x"}, "b": {"judge": {"model": "m"}}}}}, Nature.JUDGE),
    ],
)
def test_only_rules_must_repeat_themselves(settings: dict[str, Any], nature: Nature) -> None:
    assert nature_of(RewardConfig(**settings)) is nature


@pytest.mark.parametrize(
    ("source", "nature"),
    [("import json\nimport re\n", Nature.RULE), ("import json\nimport boto3\n", Nature.UNKNOWN)],
)
def test_a_file_that_reaches_out_may_ask_a_model(tmp_path: Path, source: str, nature: Nature) -> None:
    file = tmp_path / "reward.py"
    file.write_text(source)
    assert nature_of(GraderConfig(file=file)) is nature


def test_judges_are_asked_every_time_and_failures_are_seen() -> None:
    config = RewardConfig(
        compose={"parts": {"a": {"judge": {"model": "m"}}, "b": {"template": "x"}}, "clip": (0, 2)},
        on_failure="zero",
    )
    tested = without_cache(config)
    assert tested.compose is not None
    assert tested.compose.parts["a"].judge is not None
    assert not tested.compose.parts["a"].judge.cache
    assert tested.on_failure == "exclude"
    alone = without_cache(RewardConfig(judge={"model": "m"}))
    assert alone.judge is not None
    assert not alone.judge.cache
    assert bounds_of(tested) == (0, 2)
    assert bounds_of(RewardConfig(template="x")) is None
