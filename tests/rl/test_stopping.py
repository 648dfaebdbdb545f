"""When a run stops early."""

from __future__ import annotations

import pytest

from tuneward.config import EvaluationConfig
from tuneward.rl.stopping import Progress


def evaluated(rewards: list[float], config: EvaluationConfig) -> tuple[Progress, list[bool]]:
    progress = Progress()
    return progress, [progress.note_evaluation(step, reward, config) for step, reward in enumerate(rewards)]


def test_the_base_models_evaluation_is_the_mark_to_beat() -> None:
    progress, _ = evaluated([0.5, 0.4, 0.3], EvaluationConfig())
    assert (progress.best_step, progress.best_reward, progress.evaluations_without_gain) == (0, 0.5, 2)


def test_a_gain_must_exceed_the_least_improvement() -> None:
    config = EvaluationConfig(min_improvement=0.25)
    progress, is_best = evaluated([0.0, 0.25, 0.375, 0.5], config)
    assert is_best == [True, False, True, False]
    assert (progress.best_step, progress.evaluations_without_gain) == (2, 1)


def test_slow_gains_add_up_against_the_best_so_far() -> None:
    _, is_best = evaluated([0.0, 0.1, 0.2, 0.3], EvaluationConfig(min_improvement=0.25))
    assert is_best == [True, False, False, True]


def test_it_stops_after_patience_evaluations_without_gain_and_says_what_was_best() -> None:
    config = EvaluationConfig(patience=2)
    progress, _ = evaluated([0.1, 0.5, 0.4], config)
    assert progress.reason_to_stop(None, config) is None
    progress.note_evaluation(3, 0.5, config)
    assert progress.reason_to_stop(None, config) == (
        "validation reward has not improved for 2 evaluations; the best was 0.500 at step 1"
    )


def test_a_gain_starts_patience_anew() -> None:
    config = EvaluationConfig(patience=2)
    progress, _ = evaluated([0.1, 0.1, 0.5, 0.5], config)
    assert progress.reason_to_stop(None, config) is None


def test_patience_is_ignored_when_early_stopping_is_off() -> None:
    config = EvaluationConfig(patience=1, early_stopping=False)
    progress, _ = evaluated([0.5, 0.1, 0.1, 0.1], config)
    assert progress.reason_to_stop(None, config) is None


@pytest.mark.parametrize(("exact", "stops"), [(0.89, False), (0.9, True), (1.0, True), (None, False)])
def test_it_stops_at_the_wanted_exact_share_even_without_early_stopping(exact: float | None, stops: bool) -> None:
    config = EvaluationConfig(stop_at_exact=0.9, early_stopping=False)
    progress, _ = evaluated([0.1], config)
    assert (progress.reason_to_stop(exact, config) is not None) == stops
