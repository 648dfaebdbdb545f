"""multiple_choice, classification and regex_match: the right answer in many forms, and no reward for hedging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.rewards.templates.conftest import data_file

Score = Callable[..., float]

CHOICES = {"answer": "B", "choices": ["Rome", "Paris", "Oslo"]}


@pytest.mark.parametrize(
    "text",
    [
        "B", "(b)", "**B.** Paris", "B) Paris", "The answer is B.", "Answer: (B)", r"\boxed{B}", r"$\boxed{\text{B}}$",
        "A is wrong; the answer is B", "The correct answer is **B**", "paris.", "Option B", "I think it is B",
        "B. because A is wrong", "Answer: A\nNo, wait. Answer: B", "<think>A? C?</think>B", "A nice question. B it is",
        "The correct option is (B), as Paris is the capital", "ANSWER: B", "Solution: B\nA and C are elsewhere",
    ],
)  # fmt: skip
def test_the_right_choice_counts_however_it_is_written(score: Score, text: str) -> None:
    assert score("multiple_choice", CHOICES, text) == 1


@pytest.mark.parametrize(
    "text",
    [
        "A or B", "Answer: A or B", "Answer: A, B", "A, B, C", "A\nB\nC", "Answer: A\nAnswer: C\nAnswer: B", "ABC",
        "The answer is either A or B", "the answer is not B", "A) Rome B) Paris C) Oslo", "answer is A and B",
        "The answer is a matter of taste", "", "?", "Rome, Paris or Oslo", "<think>The answer is B", "Answer: B/C",
    ],
)  # fmt: skip
def test_hedging_or_no_choice_earns_nothing(score: Score, text: str) -> None:
    assert score("multiple_choice", CHOICES, text) == 0


def test_a_clear_but_wrong_choice_earns_a_little(score: Score) -> None:
    assert 0 < score("multiple_choice", "B", "Answer: C") < 0.5
    assert score("multiple_choice", {"text": "(b)"}, "B") == 1


LABELS = {"label": "not_spam", "labels": ["spam", "not_spam", "unsure"]}


@pytest.mark.parametrize(
    "text", ["not_spam", "Not spam.", "Label: NOT-SPAM", '{"label": "not spam"}', "**Class:** not spam"]
)
def test_the_right_label_counts_however_it_is_written(score: Score, text: str) -> None:
    assert score("classification", LABELS, text) == 1


def test_a_label_inside_other_words_counts_half_and_only_alone(score: Score) -> None:
    assert score("classification", LABELS, "I would say this is not spam at all") == 0.5
    assert score("classification", LABELS, "this is spam") == 0
    assert score("classification", {"label": "spam", "labels": ["spam", "ham"]}, "this is not spam") == 0
    for hedge in ("spam, not_spam", "spam or not spam", "spam\nnot_spam\nunsure", '["spam", "not_spam"]', ""):
        assert score("classification", LABELS, hedge) == 0, hedge


def test_without_a_list_of_labels_the_answer_must_be_the_label(score: Score) -> None:
    assert score("classification", "ham", "Ham!") == 1
    assert score("classification", {"text": "ham"}, "ham") == 1
    assert score("classification", 3, "3") == 1
    assert score("classification", "ham", "I think ham") == 0


def test_several_labels_are_compared_as_sets(score: Score) -> None:
    assert score("classification", ["hate", "threat"], "Threat, hate") == 1
    assert score("classification", ["hate", "threat"], '{"labels": ["hate"]}') == 0.5
    assert score("classification", ["hate"], "hate, threat, violence, spam") == 0.25


def test_labels_of_public_data_sets_earn_all_and_other_labels_nothing(score: Score) -> None:
    import json

    domains = json.loads(data_file("clinc150", "data_small.json").read_text())
    intents = sorted({intent for _, intent in domains["val"]})
    for right, wrong in zip(intents, [*intents[1:], intents[0]], strict=True):
        reference = {"label": right, "labels": intents}
        assert score("classification", reference, right.replace("_", " ").title()) == 1
        assert score("classification", reference, f"The intent is {right}.") == 1
        assert score("classification", reference, wrong) == 0
        assert score("classification", reference, ", ".join(intents)) == 0
    messages = data_file("sms-spam", "SMSSpamCollection").read_text(encoding="utf-8").splitlines()[:300]
    for label, _, text in (line.partition("\t") for line in messages):
        reference = {"label": label, "labels": ["ham", "spam"]}
        assert score("classification", reference, label.upper()) == 1
        assert score("classification", reference, "spam" if label == "ham" else "ham") == 0
        assert score("classification", reference, text) < 1  # The echoed message.
    for file in sorted(data_file("snips-nlu").glob("validate_*.json")):
        intent = file.stem.removeprefix("validate_")
        assert score("classification", intent, f'{{"intent": "{intent}"}}') == 1


def test_a_pattern_must_match_and_capture_the_value(score: Score) -> None:
    date: dict[str, Any] = {"pattern": r"DATE: (\d{4}-\d{2}-\d{2})\s*$", "value": "1957-03-25"}
    assert score("regex_match", date, "Signed in Rome.\nDATE: 1957-03-25") == 1
    assert score("regex_match", date, "DATE: 1957-03-25\nDATE: 1958-03-25") == pytest.approx(0.2)
    assert score("regex_match", date, "1957-03-25") == 0
    assert score("regex_match", date, "") == 0
    assert score("regex_match", [r"^a", r"b$", "z"], "ab") == pytest.approx(2 / 3)
    assert score("regex_match", {"text": "^yes$"}, "<think>no</think>\nyes") == 1
    assert score("regex_match", {"pattern": r"\d+", "value": 7}, "7 of 7") == 1
