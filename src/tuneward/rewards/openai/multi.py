"""Several graders as one, by a formula. Source: OpenAI grader contract, 5.8."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tuneward.rewards.openai.case import Case
from tuneward.rewards.openai.formula import Formula
from tuneward.rewards.openai.outcome import Evaluator, FaultError, Outcome, Usage, Wait, faulty, settle, union
from tuneward.types import Verdict


class MultiEvaluator:
    """Grades with all parts at the same time and puts their rewards into the formula.

    A part that failed makes the whole score fail: the formula with a 0 in its place, which the API reports, would
    teach that the answer was bad.

    Args:
        parts: name → grader; closed by who built them.
        formula: `calculate_output`; its names are names of parts.
    """

    def __init__(self, parts: Mapping[str, Evaluator], formula: str) -> None:
        self._parts = parts
        self._formula = Formula(formula)
        found = {part.isolation for part in parts.values()}
        self.isolation = next((kind for kind in ("sandbox", "process", "remote") if kind in found), "")
        self.limits = {name: value for part in parts.values() for name, value in part.limits.items()}

    def start(self, case: Case) -> Wait:
        waits = {name: part.start(case) for name, part in self._parts.items()}
        return lambda: self._combine({name: settle(wait) for name, wait in waits.items()})

    def close(self) -> None:
        """Nothing is held beside the parts."""

    def _combine(self, parts: Mapping[str, Outcome]) -> Outcome:
        failed = {name: part for name, part in parts.items() if math.isnan(part.reward)}
        errors = union(part.errors for part in parts.values())
        problem = next((f'Grader "{name}": {part.message}' for name, part in parts.items() if part.message), "")
        verdict = Verdict.OK
        if failed:
            name, part = next(iter(failed.items()))
            verdict, problem = part.verdict, f'Grader "{name}": {part.message}'
        try:
            value = self._formula({name: part.reported for name, part in parts.items()})
        except ValueError as error:
            fault = faulty(FaultError("formula_parse_error", f"calculate_output has no value: {error}."))
            errors = union([errors, fault.errors])
            value = 0.0
            if not failed:
                verdict, problem = fault.verdict, fault.message
        return Outcome(
            reward=value if verdict is Verdict.OK else math.nan,
            verdict=verdict,
            message=problem,
            errors=errors,
            api_reward=value,
            parts=parts,
            usage=_usage(parts),
            attempts=max(part.attempts for part in parts.values()),
            wall_s=max(part.wall_s for part in parts.values()),
            call=next((part.call for part in (*failed.values(), *parts.values()) if part.call), None),
        )


def _usage(parts: Mapping[str, Outcome]) -> dict[str, Usage]:
    """Tokens of all parts by judge model."""
    total: dict[str, Usage] = {}
    for part in parts.values():
        for model, usage in part.usage.items():
            total[model] = total.get(model, Usage()) + usage
    return total
