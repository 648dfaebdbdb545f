"""math_answer: values, formulas, marks of the answer, partial credit, and input that could take for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.rewards.templates.conftest import json_lines

Score = Callable[..., float]
NAME = "math_answer"


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("72", "#### 72"), (72, "#### 72.0"), (72.0, r"\boxed{72}"), ("… = 72\n#### 72", "The answer is 72."),
        ({"answer": "1,000"}, "Answer: $1000.00"), ({"final_answer": 1000}, "#### 1,000"), ("-3", "#### −3"),
        ({"text": "0.5"}, r"\boxed{\frac{1}{2}}"), ("1/2", "Answer: .5"), ("50", "#### 50%"),
        ("72", r"\boxed{72 \text{ dollars}}"), ("72", "The answer is 72, because 3 * 24 = 72."),
        ("5", r"\boxed{x = 5}"),
        (r"\frac{\sqrt{2}}{2}", r"\boxed{\frac{1}{\sqrt{2}}}"), ("x^2+2x+1", r"\boxed{(x+1)^2}"),
        ("yes", "Answer: Yes"),
        (r"\{1,2\}", r"\boxed{\{2,1\}}"), ("(1,2)", r"so it is \boxed{(1, 2)}"), (r"90^\circ", r"\boxed{90}"),
        (r"2003^{2002^{2001}}", r"\boxed{2003^{2002^{2001}}}"), ("7", r"first \boxed{6}, no: \boxed{7}"),
        ("4", "<think>so \\boxed{9}?</think> #### 4"),
    ],
)  # fmt: skip
def test_the_right_answer_counts_however_it_is_written(score: Score, reference: Any, text: str) -> None:
    assert score(NAME, reference, text) == 1


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("72", "#### 73"), ("72", "#### 72 or 73"), ("72", "Answer: 72, 73, 74"), ("yes", "Answer: no"),
        ("3x", r"\boxed{3}"),
        (r"\text{no}", r"\boxed{\text{yes}}"), ("5", r"\boxed{2003^{2002^{2001}}}"),
        ("5", r"\boxed{10^{10^{10^{10}}}}"),
        ("5", r"\boxed{99999999!}"), ("5", r"\boxed{9**9**9**9}"), ("1", r"\boxed{1e999999999}"), ("72", "72\n#### 1"),
        ("5", "#### " + "9" * 100_000), ("5", r"\boxed{" + "{" * 5000),
    ],
)  # fmt: skip
def test_a_wrong_answer_earns_at_most_its_mark(score: Score, reference: Any, text: str) -> None:
    assert score(NAME, reference, text) <= 0.1


def test_a_right_number_that_is_not_marked_earns_less_than_a_marked_one(score: Score) -> None:
    assert 0.5 < score(NAME, "72", "So there are 72.") < 1
    assert score(NAME, "72", "So there are 72 of 96.") == 0


@pytest.mark.parametrize("text", ["", "####", r"\boxed{}", "no idea", "####."])
def test_no_answer_earns_nothing(score: Score, text: str) -> None:
    assert score(NAME, "72", text) == 0


def test_intermediate_results_earn_part_and_a_list_of_numbers_does_not(score: Score) -> None:
    reference = {"answer": "20", "solution": "3 * 8 = 24, then 24 - 4 = 20"}
    half = score(NAME, reference, "3 * 8 = 24\n#### 25")
    assert score(NAME, reference, "#### 25") < half < score(NAME, reference, "3 * 8 = 24; 24 - 4 = 20\n#### 25") < 0.9
    spray = " ".join(f"= {number}" for number in range(500))
    assert score(NAME, reference, f"{spray}\n#### 25") < half


def test_every_gsm8k_solution_earns_all_and_its_neighbour_does_not(score: Score) -> None:
    rows = json_lines("gsm8k", "test.jsonl")
    assert len(rows) == 1319
    for row in rows:
        solution, _, final = row["answer"].partition("####")
        assert score(NAME, row["answer"], row["answer"]) == 1
        assert score(NAME, final.strip(), rf"… \boxed{{{final.strip()}}}") == 1
        wrong = int(final.replace(",", "")) + 1
        assert score(NAME, row["answer"], f"{solution}#### {wrong}") < 0.31
        assert score(NAME, row["answer"], row["question"]) < 1  # The echoed question.
