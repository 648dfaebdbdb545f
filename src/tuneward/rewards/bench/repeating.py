"""Checks that a sample has one score: again, elsewhere, in other company, under another name."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

from tuneward.rewards.bench.asking import EXACT, Bench, against, difference
from tuneward.rewards.bench.report import Example, Finding, failed, passed, skipped, warned
from tuneward.rewards.bench.table import Table
from tuneward.types import Sample, Score

ALONE = 8
"""Samples scored alone."""
DRIFT_CALLS = 5
CONSISTENCY_CALLS = 3
MODEL_NOISE = 0.1
"""Share of the range within which scores of a model may vary."""

RULE_ADVICE = "Take chance, clocks, counters and caches out of the function: what is learned depends on them otherwise."


def determinism(bench: Bench, table: Table) -> Finding:
    """The same samples in the same call twice."""
    samples = table.settled()
    first, second = bench.score(samples), bench.score(samples)
    pairs = _changed(samples, first, second, EXACT)
    bench.noise = max(map(difference, first, second), default=0.0)
    if not pairs:
        return passed(f"{len(samples)} samples scored twice got the same scores.")
    message = f"{len(pairs)} of {len(samples)} samples got another score the second time."
    return _unstable(bench, message, _example(pairs, "the same call again gives"))


def other_process(bench: Bench, table: Table) -> Finding:
    """The same samples in processes of their own."""
    if bench.rebuild is None:
        return skipped("The grader was given as it is and cannot be built a second time.")
    if noise := _noisy(bench):
        return noise
    samples = table.settled()
    first = bench.score(samples)
    other = bench.rebuild()
    try:
        second = bench.score(samples, grader=other)
    finally:
        other.close()
    pairs = _changed(samples, first, second, _tolerance(bench))
    if not pairs:
        return passed("A second process gives the same scores.")
    message = f"{len(pairs)} of {len(samples)} samples got another score in a second process."
    return _unstable(bench, message, _example(pairs, "another process gives"))


def order(bench: Bench, table: Table) -> Finding:
    """The same samples in reverse order."""
    samples = table.settled()
    return _same(bench, samples, lambda: bench.score(samples[::-1])[::-1], "in reverse order")


def batch(bench: Bench, table: Table) -> Finding:
    """Samples alone, and each several times in one call."""
    samples = table.settled()
    if noise := _noisy(bench):
        return noise
    together = bench.score(samples)
    step = max(1, len(samples) // ALONE)
    chosen = range(0, len(samples), step)
    alone = [bench.score([samples[index]])[0] for index in chosen]
    pairs = _changed([samples[i] for i in chosen], [together[i] for i in chosen], alone, _tolerance(bench))
    if pairs:
        message = f"{len(pairs)} of {len(alone)} samples got another score alone than in a call of {len(samples)}."
        return warned(message, _company_advice("batch"), _example(pairs, "alone it earns"))
    doubled = [replace(sample, id=f"{sample.id}/{copy}") for sample in samples for copy in "ab"]
    scores = bench.score(doubled)
    pairs = _changed(doubled[::2], scores[::2], scores[1::2], _tolerance(bench))
    if pairs:
        message = f"{len(pairs)} of {len(samples)} samples got two scores when they stood twice in one call."
        return warned(message, _company_advice("batch"), _example(pairs, "its double in the same call"))
    return passed("Alone, in a batch, and twice in a batch: the same scores.")


def ids(bench: Bench, table: Table) -> Finding:
    """The same samples under other ids."""
    samples = table.settled()
    renamed = [
        Sample(
            f"other-{len(samples) - number}-{sample.id[::-1]}", replace(sample.row, id=f"x{number}"), sample.completion
        )
        for number, sample in enumerate(samples)
    ]
    return _same(bench, samples, lambda: bench.score(renamed), "under other ids")


def drift(bench: Bench, table: Table) -> Finding:
    """The mean of the same call, over and over."""
    samples = table.settled()
    means = []
    for _ in range(DRIFT_CALLS):
        rewards = [score.reward for score in bench.score(samples) if not score.is_failed]
        means.append(sum(rewards) / len(rewards) if rewards else 0.0)
    steps = [after - before for before, after in itertools.pairwise(means)]
    still = EXACT if bench.is_rule else _tolerance(bench)
    if all(abs(step) <= still for step in steps):
        return passed(f"The mean score stays the same over {DRIFT_CALLS} calls.")
    if all(step > 0 for step in steps) or all(step < 0 for step in steps):
        course = " → ".join(f"{mean:.3g}" for mean in means)
        return warned(f"The mean score of the same samples moves with every call: {course}.", RULE_ADVICE)
    return skipped("Scores change without a direction; see determinism.")


def self_consistency(bench: Bench, table: Table) -> Finding:
    """How far the scores of one sample spread when a model judges."""
    if bench.is_rule:
        return skipped("The grader is a rule; see determinism.")
    samples = table.settled()[:16]
    rounds = [bench.score(samples) for _ in range(CONSISTENCY_CALLS)]
    spreads = [
        max(difference(a, b) for a, b in itertools.combinations(scores, 2)) for scores in zip(*rounds, strict=True)
    ]
    mean = sum(spreads) / len(spreads)
    if mean <= MODEL_NOISE * bench.width:
        return passed(f"Scores of the same sample differ by {mean:.2g} on average over {CONSISTENCY_CALLS} judgements.")
    worst = spreads.index(max(spreads))
    scores = sorted((scores[worst] for scores in rounds), key=lambda score: score.reward)
    return warned(
        f"Scores of the same sample differ by {mean:.2g} on average over {CONSISTENCY_CALLS} judgements.",
        "Ask for pass or fail on single criteria instead of a scale, set the temperature to 0, or take several votes.",
        against(samples[worst], scores[0], "another judgement gives", scores[-1].reward),
    )


def _same(bench: Bench, samples: Sequence[Sample], again: Callable[[], list[Score]], how: str) -> Finding:
    """Whether samples keep their scores when they are scored `again`, one score per sample and in their order."""
    if noise := _noisy(bench):
        return noise
    pairs = _changed(samples, bench.score(samples), again(), _tolerance(bench))
    if not pairs:
        return passed(f"The same scores {how}.")
    message = f"{len(pairs)} of {len(samples)} samples got another score {how}."
    return warned(message, _company_advice(how), _example(pairs, f"{how} it earns"))


def _company_advice(how: str) -> str:
    if how == "under other ids":
        return "Score what stands in the messages and the reference; ids are made anew for every call."
    return "Score each sample by itself: batches are put together differently in every step."


def _unstable(bench: Bench, message: str, example: Example) -> Finding:
    if bench.is_rule:
        return failed(message, RULE_ADVICE, example)
    if (
        bench.noise <= MODEL_NOISE * bench.width
        and abs(example.score - example.against_score) <= MODEL_NOISE * bench.width
    ):
        return passed(f"{message.rstrip('.')}, within what a model's scores vary.")
    return warned(message, "Set the judge's temperature to 0, or take several votes.", example)


def _noisy(bench: Bench) -> Finding | None:
    """The finding of checks that cannot tell anything where scores change by themselves."""
    if bench.noise > _allowance(bench):
        return skipped("Scores change by themselves; see determinism.")
    return None


def _allowance(bench: Bench) -> float:
    return EXACT if bench.is_rule else MODEL_NOISE * bench.width


def _tolerance(bench: Bench) -> float:
    return EXACT if bench.noise <= EXACT else max(2 * bench.noise, _allowance(bench))


Pair = tuple[Sample, Score, Score]


def _changed(
    samples: Sequence[Sample], first: Sequence[Score], second: Sequence[Score], tolerance: float
) -> list[Pair]:
    pairs = zip(samples, first, second, strict=True)
    return [pair for pair in pairs if difference(pair[1], pair[2]) > tolerance]


def _example(pairs: Sequence[Pair], what: str) -> Example:
    """The sample whose scores are furthest apart."""
    sample, first, second = max(pairs, key=lambda pair: difference(pair[1], pair[2]))
    return against(sample, first, what, second.reward)
