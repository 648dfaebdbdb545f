"""Good graders pass without a warning, and the report says how references became answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.rewards.bench import graders as g
from tests.rewards.bench.datasets import FACTS, FINAL_ANSWERS, PEOPLE, PRIMES, REVIEWS, SUMS, WITHOUT_REFERENCE, rows

from tuneward.rewards.bench import CHECKS, QUICK_CHECKS, Nature, Outcome, bench_grader, quick_bench
from tuneward.rewards.bench.answers import all_options
from tuneward.types import Row

NAMED = {row.id: ['{"name": "it"}', "I do not know", '{"title": 1}'] for row in WITHOUT_REFERENCE}

GOOD: dict[str, tuple[g.OneByOne, list[Row], dict[str, Any]]] = {
    "exact match": (g.exact_match, REVIEWS, {}),
    "last number": (g.last_number, SUMS, {}),
    "after hashes": (g.after_hashes, FINAL_ANSWERS, {}),
    "boxed": (g.boxed, FINAL_ANSWERS, {}),
    "thinking and tags": (g.tagged, SUMS, {}),
    "token F1": (g.token_f1, FACTS, {}),
    "similarity": (g.similarity, FACTS, {}),
    "similarity of labels": (g.similarity, REVIEWS, {}),
    "matching fields": (g.matching_fields, PEOPLE, {}),
    "only label": (g.only_label, REVIEWS, {}),
    "first of yes and no": (g.first_of_two, PRIMES, {}),
    "around zero": (g.centred, REVIEWS, {}),
    "within tolerance": (g.within_tolerance, SUMS, {}),
    "on a declared scale": (lambda a, r: 10 * g.token_f1(a, r), FACTS, {"bounds": (0.0, 10.0)}),
    "valid JSON, no reference": (g.valid_json, WITHOUT_REFERENCE, {"base": NAMED}),
}


@pytest.mark.parametrize(("score", "rows", "settings"), GOOD.values(), ids=GOOD)
def test_a_good_rule_passes_clean(score: g.OneByOne, rows: list[Row], settings: dict[str, Any]) -> None:
    report = bench_grader(g.one_by_one(score), rows, **settings)
    assert report.having(Outcome.WARN) == {}
    assert report.having(Outcome.FAIL) == {}
    assert list(report.findings) == list(CHECKS)


@pytest.mark.parametrize(("score", "rows", "settings"), GOOD.values(), ids=GOOD)
def test_a_good_rule_passes_the_quick_form(score: g.OneByOne, rows: list[Row], settings: dict[str, Any]) -> None:
    report = quick_bench(g.one_by_one(score), rows, bounds=settings.get("bounds"))
    assert report.is_clean, report.findings
    assert tuple(report.findings) == QUICK_CHECKS


def test_an_honest_judge_passes_clean() -> None:
    report = bench_grader(g.one_by_one(g.honest_judge), FACTS, nature=Nature.JUDGE)
    assert report.is_clean, report.findings
    assert report.findings["injection"].outcome is Outcome.PASS


def test_the_rendering_that_earns_most_is_used_and_named() -> None:
    hashes = bench_grader(g.one_by_one(g.after_hashes), FINAL_ANSWERS)
    assert hashes.rendering == 'the field final_answer, as "#### …"'
    plain = bench_grader(g.one_by_one(g.exact_match), REVIEWS)
    assert plain.rendering.startswith("the reference as it is")


def test_test_cases_are_no_answers() -> None:
    programs = rows([("Write f.", {"test_cases": [{"input": "1", "output": "2"}]}), ("Sum up.", {"max_words": 9})])
    report = bench_grader(g.one_by_one(lambda answer, _: float("def f" in answer)), programs)
    assert report.findings["reference_maximum"].outcome is Outcome.SKIPPED
    assert report.rendering == ""


def test_among_three_options_the_right_one_is_neither_first_nor_last() -> None:
    choices = ["a", "b", "c", "d"]
    for value in choices:
        for is_last in (False, True):
            named = str(all_options(value, choices, is_last=is_last)).split(" or ")
            assert sorted(named) == choices
            assert value not in (named[0], named[-1])


def test_answers_in_metadata_count_when_there_is_no_reference() -> None:
    row = Row("r", ({"role": "user", "content": "2 + 2?"},), None, {"ground_truth": 4})
    other = Row("s", ({"role": "user", "content": "2 + 3?"},), None, {"ground_truth": 5})
    by_question = {"2 + 2?": "4", "2 + 3?": "5"}
    grader = g.PatientGrader(lambda s: [float(x.completion == by_question[x.row.messages[-1]["content"]]) for x in s])
    report = bench_grader(grader, [row, other])
    assert report.rendering == "the field ground_truth"
    assert report.is_clean, report.findings


def test_the_base_model_is_sampled_for_the_chosen_rows_only() -> None:
    asked: list[str] = []

    def sample(chosen: Sequence[Row], count: int) -> Sequence[Sequence[str]]:
        asked.extend(row.id for row in chosen)
        return [["I think it is 1"] * count for _ in chosen]

    report = bench_grader(g.one_by_one(g.last_number), SUMS, base=sample, max_rows=3)
    assert asked == ["row-1", "row-3", "row-5"]
    assert report.rows == 3
    assert report.findings["base_ordering"].outcome is Outcome.PASS


def test_precomputed_completions_may_be_missing_for_some_rows() -> None:
    base: Mapping[str, Sequence[str]] = {"row-2": ["17"]}
    report = bench_grader(g.one_by_one(g.last_number), SUMS, base=base)
    assert report.is_clean, report.findings
