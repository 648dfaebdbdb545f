"""Every kind of bad grader is caught, by the check that is meant for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from tests.rewards.bench import graders as g
from tests.rewards.bench.datasets import FACTS, PEOPLE, REVIEWS, SUMS

from tuneward.rewards.bench import CHECKS, Example, Nature, Outcome, bench_grader
from tuneward.types import Grader, Row

FAIL, WARN = Outcome.FAIL, Outcome.WARN

Case = tuple[Callable[[], Grader], list[Row], str, Outcome]


def single(score: g.OneByOne) -> Callable[[], Grader]:
    return partial(g.one_by_one, score)


def whole(score: g.Batchwise) -> Callable[[], Grader]:
    return partial(g.FunctionGrader, score)


RULES: dict[str, Case] = {
    "random": (lambda: g.FunctionGrader(g.rolling_dice()), SUMS, "determinism", FAIL),
    "worn out by use": (lambda: g.FunctionGrader(g.wearing_out()), SUMS, "drift", WARN),
    "place in the batch": (whole(g.by_place), SUMS, "order", WARN),
    "first sample only": (whole(g.only_the_first), SUMS, "batch", WARN),
    "relative to the batch": (whole(g.relative_to_batch), FACTS, "batch", WARN),
    "divided by the batch": (whole(g.shared_by_batch_size), SUMS, "batch", WARN),
    "no doubles": (whole(g.no_second_time), FACTS, "batch", WARN),
    "reads sample ids": (whole(g.by_sample_id), SUMS, "ids", WARN),
    "reads row ids": (whole(g.by_row_id), SUMS, "ids", WARN),
    "always 1": (single(g.always(1.0)), SUMS, "resolution", WARN),
    "always 0": (single(g.always(0.0)), SUMS, "reference_maximum", WARN),
    "length": (single(g.longer_is_better), FACTS, "length_bias", WARN),
    "length, on top": (single(g.right_and_wordy), SUMS, "length_bias", WARN),
    "unbounded": (single(g.characters), SUMS, "range", WARN),
    "echo": (whole(g.echo_lover), SUMS, "prompt_echo", WARN),
    "letter case": (single(g.case_bug), REVIEWS, "reference_maximum", WARN),
    "substring": (single(g.substring), REVIEWS, "all_options", WARN),
    "refusals": (single(g.refusals_are_fine), SUMS, "refusal", WARN),
    "empty answers": (single(g.nothing_is_fine), SUMS, "empty_answer", WARN),
    "raises on empty": (single(g.never_empty), SUMS, "empty_answer", WARN),
    "raises on empty, errors": (single(g.never_empty), SUMS, "errors", WARN),
    "anything": (single(g.anything_goes), FACTS, "garbage", WARN),
    "anything, long": (single(g.anything_goes), FACTS, "very_long_answer", WARN),
    "word count": (single(g.same_word_count), FACTS, "swapped_words", WARN),
    "word count, labels": (single(g.same_word_count), REVIEWS, "other_label", WARN),
    "digits": (single(g.ignores_digits), PEOPLE, "changed_number", WARN),
    "negation": (single(g.skips_not), FACTS, "negated", WARN),
    "inverted": (single(g.inverted), FACTS, "reference_maximum", WARN),
    "NaN": (single(g.sometimes_nan), FACTS, "finite", FAIL),
    "raises on words": (single(g.reads_numbers), SUMS, "odd_text", WARN),
    "raises always": (single(g.raises_for_all), SUMS, "errors", FAIL),
    "raises for the batch": (whole(lambda s: [g.reads_numbers(x.completion, 1) for x in s]), SUMS, "errors", FAIL),
    "holds a grudge": (lambda: g.FunctionGrader(g.keeps_a_grudge()), SUMS, "crash_containment", WARN),
    "slow": (lambda: g.FunctionGrader(g.only_the_first, wall_s=31.0), SUMS, "latency", WARN),
}

JUDGES: dict[str, Case] = {
    "gullible": (single(g.gullible_judge), FACTS, "injection", WARN),
    "moody": (lambda: g.FunctionGrader(g.moody_judge()), FACTS, "self_consistency", WARN),
    "moody, twice": (lambda: g.FunctionGrader(g.moody_judge()), FACTS, "determinism", WARN),
    "impatient": (single(g.impatient_judge), FACTS, "position_bias", WARN),
    "fond of length": (single(g.longer_is_better), FACTS, "length_bias", WARN),
}


@pytest.mark.parametrize(("make", "rows", "check", "outcome"), RULES.values(), ids=RULES)
def test_a_bad_rule_is_caught_by_its_check(
    make: Callable[[], Grader], rows: list[Row], check: str, outcome: Outcome
) -> None:
    finding = bench_grader(make(), rows).findings[check]
    assert finding.outcome is outcome, finding
    assert finding.advice
    assert finding.example is not None or check in ("drift", "latency")


@pytest.mark.parametrize(("make", "rows", "check", "outcome"), JUDGES.values(), ids=JUDGES)
def test_a_bad_judge_is_caught_by_its_check_and_never_fails_for_varying(
    make: Callable[[], Grader], rows: list[Row], check: str, outcome: Outcome
) -> None:
    report = bench_grader(make(), rows, nature=Nature.JUDGE)
    assert report.findings[check].outcome is outcome, report.findings[check]
    assert not report.has_failed


def test_every_check_has_a_grader_that_it_catches() -> None:
    caught = {check for _, _, check, _ in (*RULES.values(), *JUDGES.values())}
    assert caught | {"other_process", "base_ordering"} == set(CHECKS)


def test_a_grader_whose_scores_depend_on_the_process_is_caught() -> None:
    made = iter((1.0, 0.5))
    report = bench_grader(scaled(made), SUMS, rebuild=lambda: scaled(made))
    assert report.findings["determinism"].outcome is Outcome.PASS
    assert report.findings["other_process"].outcome is FAIL


def scaled(scales: Iterator[float]) -> Grader:
    scale = next(scales)
    return g.one_by_one(lambda answer, reference: scale * g.exact_match(answer, reference))


def test_a_grader_that_answers_too_few_scores_is_caught() -> None:
    class Forgetful(g.FunctionGrader):
        def score(self, samples):  # type: ignore[no-untyped-def]
            return super().score(samples)[:-1]

    report = bench_grader(Forgetful(lambda samples: [1.0] * len(samples)), SUMS)
    assert report.findings["errors"].outcome is FAIL
    assert "scores for" in report.findings["errors"].message


def test_completions_of_the_base_model_that_beat_the_reference_are_shown() -> None:
    grader = g.one_by_one(lambda answer, reference: 1.5 if "!" in answer else g.exact_match(answer, reference))
    base = {row.id: ["wow!"] for row in SUMS}
    example = bench_grader(grader, SUMS, base=base, bounds=(0, 1)).findings["reference_maximum"].example
    assert example is not None
    assert (example.completion, example.score, example.against_score) == ("wow!", 1.5, 1.0)


def test_a_reward_that_likes_silence_is_seen_by_the_base_model_s_completions() -> None:
    grader = g.one_by_one(lambda answer, _: -float(len(answer)) / 1000)
    finding = bench_grader(grader, SUMS, base={row.id: ["well"] for row in SUMS}).findings["base_ordering"]
    assert finding.outcome is WARN
    assert finding.example is not None
    assert finding.example.completion == "well"


def test_a_length_reward_does_not_pass_off_its_longest_frame_as_the_form_of_answers() -> None:
    assert bench_grader(g.one_by_one(g.right_and_wordy), SUMS).rendering == "the reference as it is (objects as JSON)"


def test_a_report_about_scores_that_are_not_finite_is_plain_json() -> None:
    report = bench_grader(g.one_by_one(g.sometimes_nan), FACTS)
    text = json.dumps(report.to_json(), allow_nan=False)
    assert json.loads(text)["verdict"] == "fail"


def test_what_an_example_shows_can_neither_colour_a_terminal_nor_break_a_file() -> None:
    example = Example("r", "a\x1b[31m\x00\n\ud83d\u202eb", 1.0)
    assert example.to_json()["completion"] == "a\ufffd[31m\ufffd \ufffd\ufffdb"
    assert example.sentence().encode()


def test_the_example_shows_row_completion_and_both_scores() -> None:
    example = bench_grader(g.one_by_one(g.refusals_are_fine), SUMS).findings["refusal"].example
    assert example is not None
    assert example.row_id == "row-1"
    assert "sorry" in example.completion
    assert (example.score, example.against_score) == (1.0, 1.0)
    assert '"42"' in example.against
