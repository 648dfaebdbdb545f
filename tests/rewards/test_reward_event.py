"""The event sent and the answers accepted; contract 4.1 and 4.2."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneward.rewards import build_event, parse_answer, read_answer
from tuneward.rewards.event import event_item
from tuneward.types import Receipt, Row, Sample, Score, Verdict

RECEIPT = Receipt("reward.py@00000000", Verdict.OK)
SOURCE = "reward.py: lambda_handler"


def make_samples(count: int, prefix: str = "s-") -> list[Sample]:
    row = Row("r", ({"role": "user", "content": "7*8?"},))
    return [Sample(f"{prefix}{index}", row, "56") for index in range(count)]


def read(answer: object, count: int) -> list[Score]:
    return read_answer(answer, make_samples(count), RECEIPT, SOURCE)


def entry(index: int, score: object = 1.0, **more: object) -> dict[str, object]:
    return {"id": f"s-{index}", "aggregate_reward_score": score, **more}


def test_event_item_has_the_documented_shape() -> None:
    row = Row(
        "r", ({"role": "system", "content": "Solve."}, {"role": "user", "content": "7*8?"}), {"value": 56}, {"k": "v"}
    )
    assert build_event([Sample("1/r/0", row, "fifty-six")]) == [
        {
            "id": "1/r/0",
            "messages": [
                {"role": "system", "content": "Solve."},
                {"role": "user", "content": "7*8?"},
                {"role": "assistant", "content": "fifty-six"},
            ],
            "reference_answer": {"value": 56},
            "metadata": {"reference_answer": {"value": 56}, "k": "v"},
            "k": "v",
        }
    ]


def test_an_extra_named_like_a_contract_field_stays_in_the_metadata() -> None:
    row = Row("r", (), "gold", {"id": "mine", "messages": "mine", "metadata": "mine", "reference_answer": "mine"})
    (item,) = build_event([Sample("1/r/0", row, "x")])
    assert item["id"] == "1/r/0"
    assert item["messages"] == [{"role": "assistant", "content": "x"}]
    assert item["reference_answer"] == "gold"
    assert item["metadata"] == {"id": "mine", "messages": "mine", "metadata": "mine", "reference_answer": "gold"}


def test_a_row_without_reference_answer_gets_none_invented() -> None:
    (item,) = build_event([Sample("1/r/0", Row("r", (), None, {"test_cases": [1]}), "x")])
    assert "reference_answer" not in item
    assert item["metadata"] == {"test_cases": [1]}
    assert item["test_cases"] == [1]


def test_entries_are_matched_by_id_in_any_order() -> None:
    scores = read([entry(2, 3), entry(0, 1), entry(1, 2)], 3)
    assert [(score.sample_id, score.reward) for score in scores] == [("s-0", 1.0), ("s-1", 2.0), ("s-2", 3.0)]
    assert all(score.receipt is RECEIPT for score in scores)


@pytest.mark.parametrize("body", ["text", "value"])
def test_a_200_envelope_is_unwrapped(body: str) -> None:
    content = [entry(0, 0.5)]
    answer = {"statusCode": 200, "headers": {}, "body": json.dumps(content) if body == "text" else content}
    assert read(answer, 1)[0].reward == 0.5


@pytest.mark.parametrize(
    ("answer", "verdict", "text"),
    [
        ({"statusCode": 500, "body": "boom"}, Verdict.ERROR, 'statusCode 500 instead of 200: "boom"'),
        ({"statusCode": True, "body": "[]"}, Verdict.ERROR, "statusCode true"),
        ({"statusCode": 200, "body": "{"}, Verdict.INVALID, "a body that is not JSON"),
        ({"statusCode": 200}, Verdict.INVALID, "answered null for 2 samples"),
        ({"errorMessage": "no key", "errorType": "X"}, Verdict.ERROR, 'answered an error: "no key"'),
        (None, Verdict.INVALID, "answered null for 2 samples"),
        ("done", Verdict.INVALID, 'answered a string ("done") for 2 samples'),
        (3, Verdict.INVALID, "answered a number (3)"),
        ({"id": "s-0", "aggregate_reward_score": 1}, Verdict.INVALID, "answered an object for 2 samples"),
    ],
)
def test_an_answer_that_is_no_list_fails_every_sample_with_the_reason(
    answer: object, verdict: Verdict, text: str
) -> None:
    for score in read(answer, 2):
        assert math.isnan(score.reward)
        assert score.receipt.verdict is verdict
        assert text in score.receipt.message


def test_one_object_is_enough_for_one_sample() -> None:
    assert read(entry(0, 0.25), 1)[0].reward == 0.25
    assert read({"aggregate_reward_score": 0.25}, 1)[0].reward == 0.25


def test_missing_ids_fail_their_samples_only() -> None:
    scores = read([entry(index) for index in (0, 1, 2, 4, 5, 6)], 8)
    assert [score.is_failed for score in scores] == [index in (3, 7) for index in range(8)]
    assert scores[3].receipt.verdict is Verdict.INVALID
    assert scores[3].receipt.message == (
        "reward.py: lambda_handler answered 6 scores for 8 samples (missing ids s-3, s-7). Return one entry per sample."
    )


def test_a_placeholder_id_is_named_as_unknown() -> None:
    scores = read([entry(0), {"id": "unknown", "aggregate_reward_score": 1.0}], 2)
    assert not scores[0].is_failed
    assert "(missing ids s-1; unknown ids unknown)" in scores[1].receipt.message


def test_duplicate_ids_fail_their_sample_only() -> None:
    scores = read([entry(0), entry(1), entry(1)], 2)
    assert [score.is_failed for score in scores] == [False, True]
    assert "answered 2 times for sample s-1" in scores[1].receipt.message


@pytest.mark.parametrize("ids", [("no-id", "no-id"), ("a", "b"), ("s-1", "s-1"), (None, None)])
def test_ids_that_tell_nothing_are_matched_by_position(ids: tuple[object, object]) -> None:
    scores = read([{"id": ids[0], "aggregate_reward_score": 0.25}, {"id": ids[1], "aggregate_reward_score": 0.75}], 2)
    assert [score.reward for score in scores] == [0.25, 0.75]


def test_a_metric_may_be_a_number_as_text_and_a_reward_may_not() -> None:
    listed = [{"name": "share", "value": "0.5", "type": "Metric"}]
    good = read([{"id": "s-0", "aggregate_reward_score": 1, "metrics_list": listed}], 1)[0]
    assert good.metrics == {"share": 0.5}
    assert read([{"id": "s-0", "aggregate_reward_score": "1"}], 1)[0].is_failed


def test_a_string_reference_answer_is_wrapped_on_demand_and_stays_raw_in_the_metadata() -> None:
    sample = Sample("s-0", Row("r", ({"role": "user", "content": "?"},), "42"), "a")
    item = event_item(sample, reference_answer="text")
    assert (item["reference_answer"], item["metadata"]["reference_answer"]) == ({"text": "42"}, "42")
    other = event_item(Sample("s-1", Row("r", (), {"value": 42}), "a"), reference_answer="text")
    assert other["reference_answer"] == {"value": 42}


def test_entries_without_any_id_are_matched_by_position_when_the_counts_agree() -> None:
    answer = [{"aggregate_reward_score": 1}, {"aggregate_reward_score": 2}]
    assert [score.reward for score in read(answer, 2)] == [1.0, 2.0]
    assert all(score.is_failed for score in read(answer, 3))
    assert [score.is_failed for score in read([entry(1, 1), {"aggregate_reward_score": 2}], 2)] == [True, False]


def test_a_number_as_id_matches_its_text() -> None:
    scores = read_answer([{"id": 0, "aggregate_reward_score": 1}], make_samples(1, ""), RECEIPT, SOURCE)
    assert scores[0].reward == 1.0


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (math.nan, "NaN"),
        (math.inf, "infinity"),
        (-math.inf, "-infinity"),
        ("0.5", 'a string ("0.5")'),
        (True, "a boolean (true)"),
        (None, "null"),
        ([1], "a list"),
        ({}, "an object"),
        (10**400, "a number"),
    ],
)
def test_a_score_that_is_no_finite_number_is_invalid_and_named(value: object, named: str) -> None:
    bad, good = read([entry(0, value), entry(1, 1)], 2)
    assert math.isnan(bad.reward)
    assert bad.receipt.verdict is Verdict.INVALID
    assert f"gave sample s-0 an aggregate_reward_score of {named}" in bad.receipt.message
    assert good.reward == 1.0


def test_an_entry_without_score_says_what_it_has() -> None:
    by_name, by_error = read([{"id": "s-0", "reward": 1.0}, {"id": "s-1", "error": "judge is down"}], 2)
    assert "no aggregate_reward_score (fields found: id, reward)" in by_name.receipt.message
    assert "judge is down" in by_error.receipt.message


def test_metrics_of_every_known_shape_are_read_and_bad_ones_dropped() -> None:
    listed = [
        {"name": "exact", "value": 1, "type": "Reward"},
        {"name": "length", "value": 12.5, "type": "Metric"},
        {"metric": "passed", "value": True},
        {"name": "nan", "value": math.nan},
        {"name": "text", "value": "x"},
        {"name": 5, "value": 1},
        {"value": 1},
        None,
    ]
    (score,) = read([entry(0, 1, metrics_list=listed, reward_components={"format": 0.5, "bad": None})], 1)
    assert score.metrics == {"exact": 1.0, "length": 12.5, "passed": 1.0, "format": 0.5}
    assert score.components == {"exact", "format"}


@pytest.mark.parametrize("metrics", [None, 3, "x", {"a": 1}])
def test_metrics_of_an_unknown_shape_never_cost_the_score(metrics: object) -> None:
    (score,) = read([entry(0, 1, metrics_list=metrics, reward_components=metrics)], 1)
    assert score.reward == 1.0


def test_messages_hold_no_half_surrogates_and_no_line_breaks() -> None:
    for score in read([{"id": "\ud800\n", "aggregate_reward_score": 1}, entry(1, "\udfff")], 2):
        assert score.receipt.message.encode()
        assert "\n" not in score.receipt.message


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000 + "]" * 100_000, "1" * 5000, b"\xff\xfe\xff"])
def test_text_that_cannot_be_read_as_json_is_invalid(text: str | bytes) -> None:
    (score,) = parse_answer(text, make_samples(1), RECEIPT, SOURCE)
    assert score.receipt.verdict is Verdict.INVALID


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["s-0", "s-1", 200])
KEYS = ["id", "aggregate_reward_score", "metrics_list", "reward_components", "name", "metric", "value", "type"]
keys = st.sampled_from([*KEYS, "statusCode", "body", "errorMessage", "error"]) | st.text(max_size=3)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(answer=json_values, count=st.integers(1, 3))
def test_any_json_gives_one_score_per_sample_in_order(answer: object, count: int) -> None:
    scores = parse_answer(json.dumps(answer), make_samples(count), RECEIPT, SOURCE)
    assert [score.sample_id for score in scores] == [f"s-{index}" for index in range(count)]
    for score in scores:
        assert score.is_failed == (score.receipt.verdict is not Verdict.OK)
        assert bool(score.receipt.message) == score.is_failed
        assert score.is_failed or math.isfinite(score.reward)
        assert all(map(math.isfinite, score.metrics.values()))
        assert score.components <= score.metrics.keys()
