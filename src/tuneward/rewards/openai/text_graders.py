"""Graders that compare two texts in this process. Source: OpenAI grader contract, 5.3 and 5.4."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping

from tuneward.rewards.openai.case import Case
from tuneward.rewards.openai.outcome import FaultError, Outcome, Wait, faulty
from tuneward.rewards.openai.similarity import build_measure
from tuneward.rewards.openai.spec import StringCheck, TextSimilarity
from tuneward.rewards.openai.template import parse_template, render_all

COMPARE: Mapping[str, Callable[[str, str], float]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "like": lambda text, reference: reference in text,
    "ilike": lambda text, reference: reference.casefold() in text.casefold(),
}


class TextEvaluator:
    """Renders input and reference and compares them.

    Args:
        spec: the grader.
        models: names of models, as in `connection.models`; for embeddings.

    Raises:
        GraderError: data or a package is missing.
    """

    isolation = ""
    limits: Mapping[str, float] = {}

    def __init__(self, spec: StringCheck | TextSimilarity, models: Mapping[str, str]) -> None:
        self._input = parse_template(spec.input)
        self._reference = parse_template(spec.reference)
        if isinstance(spec, StringCheck):
            self._compare = COMPARE[spec.operation]
        else:
            self._compare = build_measure(spec.evaluation_metric, models)

    def start(self, case: Case) -> Wait:
        return lambda: self._grade(case)

    def close(self) -> None:
        """Nothing is held."""

    def _grade(self, case: Case) -> Outcome:
        started = time.monotonic()
        try:
            text, reference = render_all([self._input, self._reference], case)
        except FaultError as fault:
            return faulty(fault)
        return Outcome(float(self._compare(text, reference)), wall_s=time.monotonic() - started)
