"""Small datasets of the usual forms, written for these tests."""

from __future__ import annotations

from typing import Any

from tuneward.types import Row


def rows(questions: list[tuple[str, Any]]) -> list[Row]:
    return [
        Row(f"row-{number}", ({"role": "user", "content": question},), reference)
        for number, (question, reference) in enumerate(questions, start=1)
    ]


SUMS = rows([(f"Add {a} and {b}.", str(a + b)) for a, b in ((17, 25), (8, 9), (30, 41), (12, 77), (5, 6), (64, 20))])

FINAL_ANSWERS = rows([(f"Multiply {a} by {b}.", {"final_answer": str(a * b)}) for a, b in ((3, 8), (7, 6), (9, 12))])

REVIEWS = rows(
    [
        (f"Is this review positive, negative or neutral? {text}", label)
        for text, label in (
            ("I loved every minute.", "positive"),
            ("A waste of time.", "negative"),
            ("It starts at nine.", "neutral"),
            ("Wonderful music.", "positive"),
            ("The seats were broken.", "negative"),
            ("It has two parts.", "neutral"),
        )
    ]
)

PRIMES = rows([(f"Is {n} prime?", "yes" if n in (2, 3, 5, 7, 11) else "no") for n in range(2, 12)])

FACTS = rows(
    [
        ("Where is the Eiffel Tower?", "The tower is in Paris, beside the river Seine."),
        ("Why is the sky blue?", "Because air scatters short waves of sunlight more strongly."),
        ("What do bees make?", "Bees make honey and wax from nectar they collect."),
        ("What is granite?", "Granite is a hard rock formed by slowly cooling magma."),
    ]
)

PEOPLE = rows(
    [
        ("Rosa, 79, lives in Seoul.", {"name": "Rosa", "age": 79, "city": "Seoul"}),
        ("In Boston lives Emily, 78.", {"name": "Emily", "age": 78, "city": "Boston"}),
        ("Max is 35 and from Toronto.", {"name": "Max", "age": 35, "city": "Toronto"}),
    ]
)

WITHOUT_REFERENCE = rows([(f"Describe a {thing} as JSON.", None) for thing in ("cat", "house", "tree")])
