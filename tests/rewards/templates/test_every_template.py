"""What holds for all templates: documented, self-contained, alike where they can be, never raising, usable by name."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.rewards.templates.conftest import Answer, skip_unless_usable

from tuneward.config import RewardConfig
from tuneward.errors import GraderError
from tuneward.rewards import build_grader
from tuneward.rewards.templates import find_template, ready_made_templates
from tuneward.types import Row, Sample, Verdict

TEMPLATES = ready_made_templates()
NAMES = [template.name for template in TEMPLATES]

RIGHT = {
    "classification": "spam",
    "code_tests": "```python\ndef add(a, b):\n    return a + b\n```",
    "format_constraints": "Cause: a cable\nRemedy: a new one",
    "instruction_constraints": "Oslo is a town by the sea.",
    "json_schema": '{"name": "Ada", "age": 36}',
    "math_answer": "3 * 8 = 24, 24 - 4 = 20\n#### 20",
    "multiple_choice": "B",
    "regex_match": "DATE: 1957-03-25",
    "sql_result": "SELECT name FROM staff WHERE pay >= 60",
    "tool_call": 'get_weather(city="Oslo", unit="celsius")',
}
"""A right completion for the row in each template's documentation."""


MET_BY_MANY = {"instruction_constraints"}
"""Templates whose documented row the question itself satisfies."""


def example(name: str) -> dict[str, Any]:
    """The row in a template's documentation."""
    found = re.search(
        r'^    (\{"messages".*?)(?=\n\n|\n\S)', find_template(name).documentation, re.DOTALL | re.MULTILINE
    )
    assert found, name
    row: dict[str, Any] = json.loads(found[1])
    return row


def test_there_are_the_templates_that_are_promised() -> None:
    assert set(NAMES) == RIGHT.keys()


@pytest.mark.parametrize("name", NAMES)
def test_the_documented_row_scores_all_for_a_right_answer_and_nothing_much_for_others(
    answer: Answer, name: str
) -> None:
    reference = example(name)["reference_answer"]
    right = answer(name, reference, RIGHT[name])
    assert right["aggregate_reward_score"] == 1, right
    assert right["metrics_list"]
    assert all(item.keys() == {"name", "value", "type"} for item in right["metrics_list"])
    question = example(name)["messages"][0]["content"]
    for worse in ("", " ", "lorem ipsum, dolor", *([question] if name not in MET_BY_MANY else [])):
        assert answer(name, reference, worse)["aggregate_reward_score"] < 1, worse
    assert answer(name, reference, "")["aggregate_reward_score"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_documentation_says_what_it_does_not_see(name: str) -> None:
    documentation = find_template(name).documentation
    assert "Row" in documentation
    assert "What it cannot see:" in documentation


def test_templates_are_alike_where_they_take_samples_and_give_scores() -> None:
    tails = {template.path.read_text().partition("\n# --- From here on")[2] for template in TEMPLATES}
    assert len(tails) == 1
    assert all(tails)


@pytest.mark.parametrize("name", NAMES)
def test_completions_in_every_form_of_the_contract_are_read(answer: Answer, name: str) -> None:
    reference, text = example(name)["reference_answer"], RIGHT[name]
    for form in ({"text": text}, [{"type": "text", "text": text}], [text], f"<think>hm</think>{text}"):
        assert answer(name, reference, form)["aggregate_reward_score"] == 1, form
    for odd in (None, 5, [], [5, None], {"image": 1}):
        assert answer(name, reference, odd)["aggregate_reward_score"] == 0, odd


FREE = [name for name in NAMES if name != "code_tests"]
"""Templates that start no process for a sample."""

words = st.sampled_from([
    "{", "[", "(", "}", "```", "```python\n", "\\boxed{", "####", "Answer:", "A", "B", "or", "=", "^", "1e9",
    "72", ",", "\n", "SELECT", "name", "FROM", "staff", "f(", "<tool_call>", '"a"', ":", "label", "spam", "\ud800",
    "\0", "P.S.", "<think>",
])  # fmt: skip
texts = st.one_of(st.text(max_size=60), st.lists(words, max_size=25).map(" ".join))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def is_entry(entry: dict[str, Any]) -> bool:
    """A finite score with finite metrics, or an error in words; and JSON either way."""
    json.dumps(entry)
    if "aggregate_reward_score" not in entry:
        return isinstance(entry["error"], str) and bool(entry["error"])
    values = [entry["aggregate_reward_score"], *(item["value"] for item in entry["metrics_list"])]
    return all(math.isfinite(value) for value in values) and 0 <= values[0] <= 1


@pytest.mark.parametrize("name", FREE)
@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=texts)
def test_any_completion_is_scored(answer: Answer, name: str, text: str) -> None:
    entry = answer(name, example(name)["reference_answer"], text)
    assert is_entry(entry)
    assert "error" not in entry


@pytest.mark.parametrize("name", FREE)
@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_reference_is_scored_or_refused_in_words(answer: Answer, name: str, data: st.DataObject) -> None:
    usual = example(name)["reference_answer"]
    odd_fields = st.fixed_dictionaries(
        {},
        optional={key: json_values | st.just(value) for key, value in usual.items()} if isinstance(usual, dict) else {},
    )
    reference = data.draw(json_values | odd_fields)
    assert is_entry(answer(name, reference, data.draw(st.just(RIGHT[name]) | texts)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("depth", [900, 100_000])
def test_deep_and_long_completions_are_scored(answer: Answer, name: str, depth: int) -> None:
    for text in (
        "[" * depth,
        '{"a":' * depth,
        "(" * depth,
        "[" * depth + "]" * depth,
        "a " * depth,
        "\\boxed{" * depth,
    ):
        entry = answer(name, example(name)["reference_answer"], text)
        assert is_entry(entry)
        assert "error" not in entry


@pytest.mark.parametrize("name", NAMES)
def test_a_row_without_a_reference_is_an_error_and_no_zero(answer: Answer, name: str) -> None:
    entry = answer(name, None, RIGHT[name])
    assert entry.keys() == {"id", "error"}


def samples(name: str, *completions: str) -> list[Sample]:
    row = Row("r", tuple(example(name)["messages"]), example(name)["reference_answer"])
    return [Sample(f"s-{index}", row, text) for index, text in enumerate(completions)]


@pytest.mark.parametrize("name", NAMES)
def test_a_template_is_a_grader_by_its_name(name: str) -> None:
    skip_unless_usable(name)
    grader = build_grader(RewardConfig(template=name))
    try:
        right, empty = grader.score(samples(name, RIGHT[name], ""))
        assert (right.reward, empty.reward) == (1, 0), (right, empty)
        assert right.receipt.grader.startswith(f"{name}.py@")
        assert right.components
    finally:
        grader.close()


def test_a_wrong_row_fails_with_its_reason_and_is_no_zero() -> None:
    grader = build_grader(RewardConfig(template="math_answer", retries=0))
    try:
        wrong = Sample("bad", Row("r", ({"role": "user", "content": "?"},), {"a": 1, "b": 2}), "#### 1")
        good, bad = grader.score([*samples("math_answer", "#### 20"), wrong])
        assert good.reward == 1
        assert bad.is_failed
        assert not bad.is_scored
        assert bad.receipt.verdict is Verdict.INVALID
        assert "reference_answer must be" in bad.receipt.message
    finally:
        grader.close()


def test_an_unknown_template_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(GraderError, match='did you mean "math_answer"'):
        build_grader(RewardConfig(template="math_answers"))


def test_dear_templates_get_small_batches_unless_the_configuration_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import tuneward.rewards.templates as catalogue

    built: list[Any] = []
    monkeypatch.setattr(catalogue, "LambdaFileGrader", built.append)
    catalogue.build(RewardConfig(template="code_tests", timeout_s=7))
    catalogue.build(RewardConfig(template="regex_match"))
    assert (built[0].batch_size, built[0].timeout_s) == (8, 7)
    assert (built[1].batch_size, built[1].timeout_s) == (64, 30)


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_works_alone_in_another_folder(tmp_path: Path, name: str) -> None:
    skip_unless_usable(name)
    copy = tmp_path / "reward.py"
    copy.write_bytes(find_template(name).path.read_bytes())
    completion = {"role": "assistant", "content": RIGHT[name]}
    event = [{"id": "1", "messages": [completion], "reference_answer": example(name)["reference_answer"]}]
    call = "import json, sys, reward; print(json.dumps(reward.lambda_handler(json.load(sys.stdin), None)))"
    done = subprocess.run(
        [sys.executable, "-c", call], cwd=tmp_path, input=json.dumps(event), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["aggregate_reward_score"] == 1


def test_graders_are_known_without_loading_any_template() -> None:
    code = "import sys, tuneward.rewards; print([m for m in sys.modules if 'templates' in m or m == 'jsonschema'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
