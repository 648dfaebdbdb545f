"""Checks with input that reward code trips over: does it fail, and what does a failure take with it?"""

from __future__ import annotations

from tuneward.rewards.bench.answers import odd_texts
from tuneward.rewards.bench.asking import EXACT, Bench, against, difference, is_usable, unscored
from tuneward.rewards.bench.report import Finding, passed, quoted, skipped, warned
from tuneward.rewards.bench.table import Table

HUGE_CHARACTERS, HUGE_CHARACTERS_FOR_MODELS = 1 << 20, 16_000
COMPANIONS = 4
"""Ordinary samples on either side of the odd ones."""


def odd_text(bench: Bench, table: Table) -> Finding:
    """Each odd answer, alone."""
    row = bench.rows[0]
    reference = table.of("reference").get(0)
    texts = _texts(bench)
    lost, winners = [], []
    for name, text in texts.items():
        sample = bench.sample(row, text)
        score = bench.score([sample])[0]
        if not is_usable(score):
            lost.append((name, sample, score))
        elif reference and bench.floor + EXACT < reference.score.reward <= score.reward + EXACT:
            winners.append((name, sample, score))
    if lost:
        name, sample, score = lost[0]
        message = f"{len(lost)} of {len(texts)} odd answers got no score: {', '.join(name for name, *_ in lost)}."
        reason = f" The first because: {score.receipt.message}" if score.receipt.message else ""
        advice = "Catch what parsing such text may raise, and answer the lowest score for it."
        return warned(message + reason, advice, unscored(sample))
    if winners and reference:
        name, sample, score = winners[0]
        message = (
            f"{len(winners)} odd answers earn as much as the reference: {', '.join(name for name, *_ in winners)}."
        )
        what = f"the reference, {quoted(reference.sample.completion)}, earns"
        advice = "Compare with the reference only what was read successfully."
        return warned(message, advice, against(sample, score, what, reference.score.reward))
    return passed(f"{len(texts)} kinds of odd text, up to {_size(bench):,} characters, get scores.")


def crash_containment(bench: Bench, table: Table) -> Finding:
    """Ordinary samples around the odd ones, in one call, and alone afterwards: they keep their scores."""
    if bench.noise > EXACT:
        return skipped("Scores change by themselves; see determinism.")
    ordinary = table.settled()[: 2 * COMPANIONS]
    before = bench.score(ordinary)
    odd = [bench.sample(bench.rows[0], text) for text in _texts(bench).values()]
    around = [*ordinary[:COMPANIONS], *odd, *ordinary[COMPANIONS:]]
    scores = dict(zip((sample.id for sample in around), bench.score(around), strict=True))
    for when, again in (
        ("in one call with odd text", [scores[sample.id] for sample in ordinary]),
        ("after odd text", bench.score(ordinary)),
    ):
        for sample, first, second in zip(ordinary, before, again, strict=True):
            if is_usable(first) and (not is_usable(second) or difference(first, second) > EXACT):
                message = f"An ordinary answer {'loses' if second.is_failed else 'changes'} its score {when}."
                reason = f" {second.receipt.message}" if second.is_failed else ""
                advice = "Score each sample inside its own try, and keep nothing between calls."
                example = against(sample, second, "by itself it earns", first.reward)
                return warned(message + reason, advice, example)
    return passed("Odd text costs other samples nothing, in the same call or later.")


def _texts(bench: Bench) -> dict[str, str]:
    return odd_texts(_size(bench))


def _size(bench: Bench) -> int:
    return HUGE_CHARACTERS if bench.is_rule else HUGE_CHARACTERS_FOR_MODELS
