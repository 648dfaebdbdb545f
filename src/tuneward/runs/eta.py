"""How long a run still takes, with an interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RECENT = 20
"""Steps looked back on: completions change in length while a policy learns."""


def time_left(
    step_seconds: Sequence[float], evaluation_seconds: Sequence[float], steps_left: int, evaluations_left: int
) -> dict[str, float]:
    """Median estimate and an 80 % interval of the time left, seconds; empty before the first step.

    The interval resamples the recent steps, so it narrows as they agree.

    Args:
        step_seconds: of the steps so far.
        evaluation_seconds: of the evaluations so far.
        steps_left: steps still to do.
        evaluations_left: evaluations still to do.
    """
    if not step_seconds:
        return {}
    recent = np.asarray(step_seconds[-RECENT:])
    draws = np.random.default_rng(0).choice(recent, size=(200, max(1, steps_left))).sum(axis=1)
    steps = draws if steps_left else np.zeros(200)
    total = steps + (float(np.mean(evaluation_seconds)) if evaluation_seconds else 0.0) * evaluations_left
    low, middle, high = np.quantile(total, [0.1, 0.5, 0.9])
    # Few steps say little about the next ones; the spread between them is then an underestimate.
    slack = float(middle) * 0.5 / len(recent)
    return {"eta_s": float(middle), "eta_low_s": max(0.0, float(low) - slack), "eta_high_s": float(high) + slack}
