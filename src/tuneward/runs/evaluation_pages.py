"""Reading the validation answers of a run: the same rows by the base model and after training, page by page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tuneward.errors import RunError
from tuneward.runs.folder import RunFolder

Sort = Literal["line", "gain", "loss", "reward", "lowest"]
Answer = dict[str, Any]
"""`RowResult.to_json`."""


class Pair(NamedTuple):
    """A validation row in two evaluations: where its answers stand, and their rewards (NaN: none)."""

    id: str
    before_at: int | None
    after_at: int
    before: float
    after: float

    @property
    def gain(self) -> float:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class ComparedPage:
    """Part of the rows that two evaluations have."""

    answers: Sequence[tuple[Answer | None, Answer]]
    """Of the evaluation compared with, and of the one looked at."""
    has_more: bool
    rows: int
    """All rows that were asked for, those of other pages included."""
    better: int
    worse: int
    mean_before: float | None
    mean_after: float | None


def evaluated_steps(run: RunFolder) -> list[int]:
    """Steps whose evaluations can be read, in order."""
    found = (path.stem.removeprefix("step-") for path in run.evaluation(0).parent.glob("step-*.jsonl"))
    return sorted(int(step) for step in found if step.isdecimal())


def compare_page(
    run: RunFolder,
    step: int,
    against: int,
    *,
    sort: Sort = "line",
    search: str | None = None,
    after: int = 0,
    limit: int,
) -> ComparedPage | None:
    """A page of the rows of an evaluation, each beside its answer in another one; None when there is no such step.

    Of the files only places and rewards are held, the answers are read for the page.

    Args:
        run: has evaluations.
        step: the one looked at.
        against: the one compared with, usually 0, the base model's; it may be missing.
        sort: `gain` begins with the rows that gained most, `loss` with those that lost most.
        search: only rows whose id or answer has it, whatever the case.
        after: rows to pass over.
        limit: rows of the page.

    Raises:
        RunError: a file is damaged.
    """
    path, other = run.evaluation(step), run.evaluation(against)
    if not path.is_file():
        return None
    needle = search.casefold() if search else None
    earlier = {row["id"]: (place, _reward(row)) for place, row in _rows(other)} if other.is_file() else {}
    pairs = []
    for place, row in _rows(path):
        before_at, before = earlier.get(row["id"], (None, math.nan))
        if needle is None or needle in row["id"].casefold() or needle in row["text"].casefold():
            pairs.append(Pair(row["id"], before_at, place, before, _reward(row)))
    ordered = _sorted(pairs, sort)
    chosen = ordered[after : after + limit]
    answers = [
        (None if pair.before_at is None else _at(other, pair.before_at), _at(path, pair.after_at)) for pair in chosen
    ]
    return ComparedPage(
        answers,
        has_more=after + len(chosen) < len(ordered),
        rows=len(ordered),
        better=sum(pair.gain > 0 for pair in pairs),
        worse=sum(pair.gain < 0 for pair in pairs),
        mean_before=_mean([pair.before for pair in pairs]),
        mean_after=_mean([pair.after for pair in pairs]),
    )


def _sorted(pairs: list[Pair], sort: Sort) -> list[Pair]:
    if sort == "line":
        return pairs

    def place(pair: Pair) -> tuple[bool, float]:
        value = pair.gain if sort in ("gain", "loss") else pair.after
        return math.isnan(value), -value if sort in ("gain", "reward") else value

    return sorted(pairs, key=place)


def _rows(path: Path) -> Iterator[tuple[int, Answer]]:
    """Each row, and where its line begins."""
    try:
        with path.open("rb") as file:
            place = 0
            for line in file:
                yield place, json.loads(line)
                place += len(line)
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}).") from None


def _at(path: Path, place: int) -> Answer:
    try:
        with path.open("rb") as file:
            file.seek(place)
            row: Answer = json.loads(file.readline())
            return row
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}).") from None


def _reward(row: Answer) -> float:
    return math.nan if row["reward"] is None else float(row["reward"])


def _mean(values: list[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else None
