"""Checks that better answers earn more: references the most, wrong ones less."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from tuneward.rewards.bench.answers import plain
from tuneward.rewards.bench.asking import EXACT, Bench, against, is_usable, unscored
from tuneward.rewards.bench.report import Finding, passed, quoted, skipped, warned
from tuneward.rewards.bench.table import Answer, Table

COINCIDENCES = 0.1
"""Share of rows on which a wrong answer may be right by chance: the last number of a prompt is its answer, say."""

NO_REFERENCE = "The rows have no reference that is an answer."


def reference_maximum(bench: Bench, table: Table) -> Finding:
    """Every reference earns the highest score, and nothing earns more. Source: Bedrock RFT contract, 3.5."""
    references = table.of("reference")
    if not references:
        return skipped(NO_REFERENCE)
    low = [a for a in references.values() if not (is_usable(a.score) and a.score.reward >= bench.top - bench.slack)]
    beaten = [
        (answer, references[index])
        for index, answer in table.base()
        if index in references and is_usable(references[index].score) and _earns_more(bench, answer, references[index])
    ]
    if low and len(low) > _tolerated(bench, len(references)):
        worst = min(low, key=lambda a: a.score.reward if is_usable(a.score) else bench.floor)
        criteria = " Ignore this if references are criteria, not answers." if len(low) == len(references) else ""
        return warned(
            f"{len(low)} of {len(references)} references do not earn the highest score ({bench.top:g}); "
            f"rendered as {bench.references.rendering.name if bench.references.rendering else ''}.",
            "Mend these rows, or the way the function reads answers: case, spacing, format. Declare the range if "
            f"the scale ends elsewhere.{criteria}",
            against(worst.sample, worst.score, "the highest score is", bench.top),
        )
    if beaten:
        answer, reference = beaten[0]
        message = f"{len(beaten)} completions of the base model earn more than the reference of their row."
        advice = "The function rewards something that good answers do not have; look at the example."
        return warned(message, advice, against(answer.sample, answer.score, _named(reference), reference.score.reward))
    return passed(f"{len(references) - len(low)} of {len(references)} references earn the highest score.")


def base_ordering(bench: Bench, table: Table) -> Finding:
    """Mean scores: reference ≥ base model ≥ empty answer."""
    base = [answer for _, answer in table.base()]
    if not base:
        return skipped("No completions of the base model were given.")
    groups = {
        "references": list(table.of("reference").values()),
        "base model": base,
        "empty answers": list(table.of("empty").values()),
    }
    known = {name: mean for name, answers in groups.items() if (mean := _mean(answers)) is not None}
    if "base model" not in known:
        return skipped("No completion of the base model got a score.")
    text = ", ".join(f"{name} {mean:.3g}" for name, mean in known.items())
    values = list(known.values())
    if all(after <= before + bench.slack for before, after in pairwise(values)):
        return passed(f"Mean scores fall as they should: {text}.")
    example = max((answer for answer in base if is_usable(answer.score)), key=lambda answer: answer.score.reward)
    return warned(
        f"Mean scores do not fall from good to bad answers: {text}.",
        "Check the direction of the score and of every penalty in it.",
        against(example.sample, example.score, "empty answers earn", values[-1]),
    )


def loses(*kinds: str, what: str, advice: str) -> Callable[[Bench, Table], Finding]:
    """A check that answers of a kind earn less than what stands for a good answer of the row.

    Args:
        kinds: of one check; with several, a row is at fault only if all of them win.
        what: the kind in words, for messages.
        advice: what to do when it does not lose.
    """

    def check(bench: Bench, table: Table) -> Finding:
        pairs, lost = [], []
        for index, answer in table.of(kinds[0]).items():
            good = _yardstick(table, index)
            if good is None or plain(answer.sample.completion) == plain(good.sample.completion):
                continue
            versions = [table.of(kind)[index] for kind in kinds if index in table.of(kind)]
            lost += [version for version in versions if version.score.is_failed]
            pairs.append((versions, good))
        if not pairs:
            return skipped(f"The rows do not allow it: {_why(table)}")
        if lost:
            message = f"{len(lost)} answers ({what}) got no score. {lost[0].score.receipt.message}"
            return warned(message, "Answer the lowest score for what cannot be read.", unscored(lost[0].sample))
        winners = [
            (versions[0], good) for versions, good in pairs if all(_wins(bench, version, good) for version in versions)
        ]
        if len(winners) > COINCIDENCES * len(pairs):
            answer, good = winners[0]
            message = (
                f"{what.capitalize()}: earns as much as a good answer, or more, on {len(winners)} of {len(pairs)} rows."
            )
            return warned(message, advice, against(answer.sample, answer.score, _named(good), good.score.reward))
        if all(_ties_at_floor(bench, versions[0], good) for versions, good in pairs):
            return skipped("Good answers earn the lowest score, too; see reference_maximum.")
        return passed(f"{what.capitalize()}: earns less than a good answer.")

    return check


def _mean(answers: list[Answer]) -> float | None:
    rewards = [answer.score.reward for answer in answers if is_usable(answer.score)]
    return sum(rewards) / len(rewards) if rewards else None


def _named(good: Answer) -> str:
    return f"a good answer, {quoted(good.sample.completion)}, earns"


def _yardstick(table: Table, index: int) -> Answer | None:
    """What a wrong answer is measured against: the row's reference, else the best completion of the base model."""
    reference = table.of("reference").get(index)
    if reference is not None:
        return reference if is_usable(reference.score) else None
    base = [answer for place, answer in table.base() if place == index and is_usable(answer.score)]
    return max(base, key=lambda answer: answer.score.reward, default=None)


def _why(table: Table) -> str:
    if not table.of("reference") and not table.base():
        return "there are neither references nor completions of the base model."
    return "no reference has what this changes."


def _wins(bench: Bench, answer: Answer, good: Answer) -> bool:
    """It earns more, or as much; two lowest scores say nothing."""
    return is_usable(answer.score) and (
        _earns_more(bench, answer, good)
        or (answer.score.reward >= good.score.reward - EXACT and good.score.reward > bench.floor + EXACT)
    )


def _ties_at_floor(bench: Bench, answer: Answer, good: Answer) -> bool:
    return good.score.reward <= bench.floor + EXACT and not _earns_more(bench, answer, good)


def _earns_more(bench: Bench, answer: Answer, good: Answer) -> bool:
    return is_usable(answer.score) and answer.score.reward > good.score.reward + bench.slack


def _tolerated(bench: Bench, rows: int) -> float:
    """References that may miss the maximum: none where a rule decides, a few where a model does."""
    return 0 if bench.is_rule else COINCIDENCES * rows
