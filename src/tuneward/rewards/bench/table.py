"""The answers a grader is asked about once, and their scores; most checks read only this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tuneward.rewards.bench import answers
from tuneward.rewards.bench.asking import Bench
from tuneward.types import Row, Sample, Score

BASE_SAMPLES = 4
"""Completions of the base model that are looked at per row."""
LONG_ROWS = 8
"""Rows that get a very long answer."""
LONG_CHARACTERS, LONG_CHARACTERS_FOR_MODELS = 20_000, 4_000
SETTLED_SAMPLES = 64
"""Samples that are scored again and again by the checks of repeatability."""

QUICK_KINDS = ("reference", "empty", "echo", "refusal", "garbage", "other_label", "changed_number")


@dataclass(frozen=True, slots=True)
class Answer:
    """A sample and what it got."""

    sample: Sample
    score: Score


@dataclass(frozen=True, slots=True)
class Table:
    """Kind of answer → index of the row → answer. Kinds that a row does not allow are missing for it."""

    answers: dict[str, dict[int, Answer]] = field(default_factory=dict)

    def of(self, kind: str) -> dict[int, Answer]:
        return self.answers.get(kind, {})

    def base(self) -> list[tuple[int, Answer]]:
        """All completions of the base model with the index of their row."""
        return [item for number in range(BASE_SAMPLES) for item in self.of(f"base/{number}").items()]

    def all(self) -> Iterator[Answer]:
        for by_row in self.answers.values():
            yield from by_row.values()

    def settled(self) -> list[Sample]:
        """A mixture of good and bad answers of every row, for scoring again."""
        kinds = ("reference", "other_label", "base/0", "base/1", "echo")
        mixed = [
            by_row[index].sample for index in self._indices() for kind in kinds if index in (by_row := self.of(kind))
        ]
        return mixed[:SETTLED_SAMPLES]

    def _indices(self) -> Sequence[int]:
        return sorted({index for by_row in self.answers.values() for index in by_row})


def ask(bench: Bench, *, quick: bool) -> Table:
    """Ask about every kind of answer in one go, or about the few kinds of the quick form."""
    chosen = {kind: text for kind, text in KINDS.items() if not quick or kind in QUICK_KINDS}
    asked = [
        (kind, index, bench.sample(row, text))
        for index, row in enumerate(bench.rows)
        for kind, write in chosen.items()
        if (text := write(bench, row)) is not None and (kind != "very_long" or index < LONG_ROWS)
    ]
    scores = bench.score([sample for _, _, sample in asked])
    table = Table()
    for (kind, index, sample), score in zip(asked, scores, strict=True):
        table.answers.setdefault(kind, {})[index] = Answer(sample, score)
    bench.note_range(
        [answer.score for kind in table.answers if kind != "very_long" for answer in table.of(kind).values()]
    )
    return table


def _base(number: int) -> Callable[[Bench, Row], str | None]:
    def write(bench: Bench, row: Row) -> str | None:
        texts = bench.base.get(row.id, ())
        return texts[number] if number < len(texts) else None

    return write


def _changed(change: Callable[[str, Sequence[str]], str | None]) -> Callable[[Bench, Row], str | None]:
    """The reference with a change; None without a reference, or when the change leaves it as it was."""

    def write(bench: Bench, row: Row) -> str | None:
        value = bench.references.value(row)
        changed = None if value is None else change(value, bench.references.others(row))
        return None if changed is None or changed == value else bench.references.framed(changed)

    return write


def _options(*, is_last: bool) -> Callable[[Bench, Row], str | None]:
    def write(bench: Bench, row: Row) -> str | None:
        value = bench.references.value(row)
        choices = answers.options(bench.references.values)
        text = None if value is None else answers.all_options(value, choices, is_last=is_last)
        return bench.references.framed(text)

    return write


def _padded(kind: str, *, before: bool = False) -> Callable[[Bench, Row], str | None]:
    def write(bench: Bench, row: Row) -> str | None:
        text = KINDS[kind](bench, row)
        if text is None:
            return None
        return f"{answers.FILLER.strip()} {text}" if before else text + answers.FILLER

    return write


def _long(bench: Bench, _: Row) -> str:
    return answers.very_long(LONG_CHARACTERS if bench.is_rule else LONG_CHARACTERS_FOR_MODELS)


KINDS: dict[str, Callable[[Bench, Row], str | None]] = {
    "reference": lambda bench, row: bench.references.answer(row),
    "empty": lambda _, __: answers.EMPTY,
    "echo": lambda _, row: answers.echo(row),
    "refusal": lambda _, __: answers.REFUSAL,
    "garbage": lambda _, __: answers.GARBAGE,
    "very_long": _long,
    "options_early": _options(is_last=False),
    "options_late": _options(is_last=True),
    "changed_number": _changed(lambda value, _: answers.changed_number(value)),
    "swapped_words": _changed(answers.swapped_words),
    "other_label": _changed(answers.other_label),
    "negated": _changed(lambda value, _: answers.negated(value)),
    **{f"base/{number}": _base(number) for number in range(BASE_SAMPLES)},
    "padded_reference": _padded("reference"),
    "padded_other": _padded("other_label"),
    "padded_base": _padded("base/0"),
    "padded_before": _padded("reference", before=True),
}
"""Kind of answer → who writes it for a row; None where it makes no sense."""
