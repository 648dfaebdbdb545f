"""The demo's files: reproducible, disjoint, and valid. Its reward: the documented numbers, and no easier way to 1."""

from __future__ import annotations

import json
import string
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuneward.data import Severity, read_rows, validate
from tuneward.demo import demo_paths
from tuneward.demo.generate import INSTRUCTION, make_rows, splits, write
from tuneward.demo.reward import lambda_handler
from tuneward.demo.texts import TRAIN_TEMPLATES, VALIDATION_TEMPLATES

REFERENCE = {"name": "Mei Chen", "age": 34, "city": "New York"}
EXACT = '{"name": "Mei Chen", "age": 34, "city": "New York"}'


def test_the_committed_files_are_what_the_generator_writes(tmp_path):
    paths = demo_paths()
    for fresh, committed in zip(write(tmp_path), (paths.train, paths.validation), strict=True):
        assert fresh.read_bytes() == committed.read_bytes(), "run python -m tuneward.demo.generate"


def test_another_seed_gives_other_rows():
    train, _ = splits()
    assert make_rows(train, seed=1) != make_rows(train, seed=2)


def test_the_files_are_valid_and_free_of_leaks():
    paths = demo_paths()
    report = validate(paths.train, paths.validation, count_tokens=None, max_prompt_length=1024)
    assert (report.train.rows, report.validation.rows) == (200, 64)
    assert report.count(Severity.ERROR) == report.count(Severity.WARNING) == 0
    assert report.train.duplicates == report.leaks == report.near_leaks == 0
    assert paths.reward.is_file()


def test_validation_shares_no_template_person_or_pair_with_training():
    train, validation = splits()
    assert len(set(TRAIN_TEMPLATES)) >= 40
    assert len(set(VALIDATION_TEMPLATES)) >= 16
    assert not set(TRAIN_TEMPLATES) & set(VALIDATION_TEMPLATES)
    assert not set(train.names) & set(validation.names)
    pairs = [
        {(row.reference_answer["name"], row.reference_answer["city"]) for row in read_rows(path)}
        for path in (demo_paths().train, demo_paths().validation)
    ]
    assert not pairs[0] & pairs[1]


@pytest.mark.parametrize("template", [*TRAIN_TEMPLATES, *VALIDATION_TEMPLATES])
def test_every_template_holds_each_answer(template):
    fields = [field for _, field, _, _ in string.Formatter().parse(template) if field]
    assert {"name", "age", "city"} <= set(fields)
    assert fields.count("age") == fields.count("city") == 1


def test_the_answer_stands_in_the_text_and_the_age_is_told_apart():
    for path in (demo_paths().train, demo_paths().validation):
        for row in read_rows(path):
            system, user = (message["content"] for message in row.messages)
            assert system == INSTRUCTION
            answer = row.reference_answer
            assert type(answer["age"]) is int
            assert answer["name"] in user
            assert answer["city"] in user
            numbers = [int(word) for word in "".join(c if c.isdigit() else " " for c in user).split()]
            assert numbers.count(answer["age"]) == 1
            assert "{" not in system + user


def test_data_and_reward_start_without_the_model_libraries():
    code = (
        "import sys, tuneward.data, tuneward.demo.generate, tuneward.demo.reward, tuneward.cli.validate;"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def score(answer: str) -> tuple[float, dict[str, float]]:
    sample = {"id": "s", "messages": [{"role": "assistant", "content": answer}], "reference_answer": REFERENCE}
    (result,) = lambda_handler([sample], None)
    assert result["id"] == "s"
    metrics = {metric["name"]: metric["value"] for metric in result["metrics_list"]}
    return result["aggregate_reward_score"], metrics


@pytest.mark.parametrize(
    ("answer", "reward"),
    [
        (EXACT, 1.0),
        ('\n{"city":"New York",\n "name":"Mei Chen","age":34}\n', 1.0),
        ("", 0.0),
        ("Mei Chen is 34 and lives in New York.", 0.0),
        ("{'name': 'Mei Chen', 'age': 34", 0.04),
        ("{}", 0.3),
        ('{"person": {}}', 0.3),
        ('{"name": "Bo", "age": 1, "city": "Rome"}', 0.45),
        ('{"name": "Mei Chen", "age": 1, "city": "Rome"}', 0.6),
        ('{"name": "Mei Chen", "age": "34", "city": "New York"}', 0.825),
        ('{"name": "Mei Chen", "age": 34.0, "city": "new  york"}', 0.75),
        ('{"name": "Mei Chen", "age": true, "city": null}', 0.6),
        ('{"name": "Mei Chen", "age": 34, "city": "New York", "job": "nurse"}', 0.85),
        ('{"name": "Bo", "name": "Mei Chen", "age": 34, "city": "New York"}', 0.9),
        (f"[{EXACT}]", round(0.7 + 0.2 * len(EXACT) / (len(EXACT) + 2), 4)),
        (EXACT + " " * 3 + "x" * (len(EXACT) - 3), 0.8),
        ('["name", "age", "city"]', 0.0),
        ('[["name", "Mei Chen"], ["age", 34], ["city", "New York"]]', 0.0),
        ("34", 0.0),
    ],
)
def test_rewards_follow_the_documented_table(answer, reward):
    """Expected numbers are summed by hand from the table in the reward's docstring."""
    got, metrics = score(answer)
    assert got == pytest.approx(reward)
    assert metrics["exact"] == (reward == 1.0)


def test_each_step_towards_the_perfect_answer_pays():
    steps = [
        "The person is Mei Chen.",
        'Sure! {"name": ',
        "Sure! {} I hope that this helps you today.",
        'Sure! {"name": "Bo"} I hope that this helps you today.',
        'Sure! {"name": "Mei Chen"} I hope that this helps you today.',
        'Sure! {"name": "Mei Chen", "age": "34"} I hope that this helps you today.',
        'Sure! {"name": "Mei Chen", "age": 34} I hope that this helps you today.',
        f"Sure! {EXACT} I hope that this helps you today.",
        f"```json\n{EXACT}\n```",
        EXACT,
    ]
    rewards = [score(step)[0] for step in steps]
    assert rewards == sorted(set(rewards))


def test_an_answer_of_braces_costs_no_time_and_earns_nothing():
    assert score("{" * 200_000)[0] == 0.0
    assert score('{"a":' * 100_000)[0] == 0.0
    assert score("[" * 100_000)[0] == 0.0


@given(st.text() | st.text(alphabet='{}[]":, nameagcity34MiChNwYork'))
def test_only_the_perfect_answer_earns_more_than_nine_tenths(answer):
    reward, metrics = score(answer)
    assert 0.0 <= reward <= 0.9
    assert metrics["exact"] == 0.0


@given(st.text(min_size=1).filter(str.strip))
def test_text_around_the_object_always_costs(text):
    assert score(EXACT + text)[0] < 1.0
    assert score(text + EXACT)[0] < 1.0


def test_the_reference_may_come_in_metadata_and_must_be_there():
    sample = {"id": "s", "messages": [{"role": "assistant", "content": EXACT}]}
    (result,) = lambda_handler([{**sample, "metadata": {"reference_answer": REFERENCE}}], None)
    assert result["aggregate_reward_score"] == 1.0
    with pytest.raises(ValueError, match="sample s: reference_answer"):
        lambda_handler([sample], None)


def test_metrics_are_plain_numbers_with_the_types_of_the_contract():
    sample = {"id": "s", "messages": [{"role": "assistant", "content": EXACT}], "reference_answer": REFERENCE}
    metrics = json.loads(json.dumps(lambda_handler([sample], None)))[0]["metrics_list"]
    assert {metric["type"] for metric in metrics} == {"Reward", "Metric"}
    assert [metric["name"] for metric in metrics if metric["type"] == "Metric"] == ["exact"]
