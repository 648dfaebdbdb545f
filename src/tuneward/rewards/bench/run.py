"""The bench: which checks there are, and what a run of them is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from tuneward.errors import DataError
from tuneward.rewards.bench import enduring, gaming, measuring, repeating
from tuneward.rewards.bench.asking import Bench, Nature, Sampler, is_usable
from tuneward.rewards.bench.ordering import base_ordering, loses, reference_maximum
from tuneward.rewards.bench.report import BenchReport, Finding, skipped
from tuneward.rewards.bench.table import BASE_SAMPLES, Table, ask
from tuneward.types import Grader, Row

ROWS, ROWS_FOR_MODELS = 32, 8
QUICK_ROWS, QUICK_ROWS_FOR_MODELS = 16, 4

TELLING = ("errors", "finite")
"""Checks that have something to say about a grader that scores nothing."""

Check = Callable[[Bench, Table], Finding]

UNREAD = "Make the function find the answer and compare it; what it cannot read earns the lowest score."
INEXACT = "Compare the whole answer, not whether the reference occurs somewhere in it."
UNCOMPARED = "Compare the answer with the reference of its own row, and numbers by their value."

AGAINST_REFERENCES: dict[str, Check] = {
    "empty_answer": loses("empty", what="an empty answer", advice=UNREAD),
    "prompt_echo": loses("echo", what="the prompt repeated", advice=INEXACT),
    "refusal": loses("refusal", what="a refusal", advice=UNREAD),
    "garbage": loses("garbage", what="garbage", advice=UNREAD),
    "very_long_answer": loses("very_long", what="very long garbage", advice=UNREAD),
    "all_options": loses("options_early", "options_late", what="an answer that names all options", advice=INEXACT),
    "changed_number": loses("changed_number", what="the reference with other numbers", advice=UNCOMPARED),
    "swapped_words": loses("swapped_words", what="the reference with words of others", advice=UNCOMPARED),
    "other_label": loses("other_label", what="another row's reference", advice=UNCOMPARED),
    "negated": loses("negated", what="the reference negated", advice=INEXACT),
}
"""Checks that answers of some kind earn less than the reference of their row."""

CHECKS: dict[str, Check] = {
    # Determinism comes first: the checks after it know by how much scores change by themselves.
    "determinism": repeating.determinism,
    "errors": measuring.errors,
    "finite": measuring.finite,
    "range": measuring.score_range,
    "resolution": measuring.resolution,
    "reference_maximum": reference_maximum,
    "base_ordering": base_ordering,
    **AGAINST_REFERENCES,
    "order": repeating.order,
    "batch": repeating.batch,
    "ids": repeating.ids,
    "drift": repeating.drift,
    "other_process": repeating.other_process,
    "self_consistency": repeating.self_consistency,
    "length_bias": gaming.length_bias,
    "position_bias": gaming.position_bias,
    "injection": gaming.injection,
    # Before odd_text, so that it sees the grader as it was.
    "crash_containment": enduring.crash_containment,
    "odd_text": enduring.odd_text,
    "latency": measuring.latency,
}
"""Name → check, in the order in which they run and are shown."""

QUICK_CHECKS = (
    "determinism", "errors", "finite", "range", "resolution", "reference_maximum", "empty_answer", "prompt_echo",
    "refusal", "garbage", "other_label", "changed_number",
)  # fmt: skip
"""Checks that need no calls beyond a hundred samples or two."""


def bench_grader(
    grader: Grader,
    rows: Sequence[Row],
    *,
    nature: Nature = Nature.RULE,
    bounds: tuple[float, float] | None = None,
    base: Sampler | Mapping[str, Sequence[str]] | None = None,
    rebuild: Callable[[], Grader] | None = None,
    max_rows: int | None = None,
) -> BenchReport:
    """Put a grader through every check.

    Args:
        grader: the grader under test; stays open.
        rows: rows of the dataset it is meant for; `max_rows` of them, spread evenly, are used.
        nature: a rule must repeat itself exactly; a model may vary a little and is also talked to.
        bounds: declared lowest and highest score.
        base: the base model's completions by row id, or who samples them.
        rebuild: builds the grader afresh, for the comparison with another process; closed here.
        max_rows: None: 32, or 8 when a model is asked.

    Raises:
        DataError: there are no rows.
    """
    chosen = _spread(rows, max_rows or (ROWS if nature is Nature.RULE else ROWS_FOR_MODELS))
    if callable(base):
        texts = base(chosen, BASE_SAMPLES)
        base = {row.id: found for row, found in zip(chosen, texts, strict=True)}
    return _run(Bench(grader, chosen, nature=nature, bounds=bounds, base=base, rebuild=rebuild), tuple(CHECKS))


def quick_bench(
    grader: Grader,
    rows: Sequence[Row],
    *,
    nature: Nature = Nature.RULE,
    bounds: tuple[float, float] | None = None,
) -> BenchReport:
    """The checks that need few calls, on 16 rows, or 4 when a model is asked; for the start of a job.

    Args and Raises: as `bench_grader`.
    """
    chosen = _spread(rows, QUICK_ROWS if nature is Nature.RULE else QUICK_ROWS_FOR_MODELS)
    return _run(Bench(grader, chosen, nature=nature, bounds=bounds), QUICK_CHECKS)


def _run(bench: Bench, checks: Sequence[str]) -> BenchReport:
    started = time.perf_counter()
    table = ask(bench, quick=tuple(checks) == QUICK_CHECKS)
    is_mute = not any(is_usable(answer.score) for answer in table.all())
    findings = {
        check: skipped("No answer got a score; see errors.")
        if is_mute and check not in TELLING
        else CHECKS[check](bench, table)
        for check in checks
    }
    return BenchReport(
        grader=bench.grader.name,
        rows=len(bench.rows),
        scored=bench.scored,
        seconds=time.perf_counter() - started,
        rendering=bench.references.rendering.name if bench.references.rendering else "",
        findings=findings,
    )


def _spread(rows: Sequence[Row], most: int) -> list[Row]:
    """At most this many rows, from the first to the last: files are often sorted."""
    if not rows:
        raise DataError("There are no rows to test the reward on; give a file with at least one.")
    count = min(most, len(rows))
    return [rows[index * len(rows) // count] for index in range(count)]
