"""The held-out rule speaks when the reward rises alone, and never where nothing has really moved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tuneward.advise import Advisor, History, advise
from tuneward.advise.limits import AdviceLimits
from tuneward.advise.rules.held_out import held_out_lags

Curve = Callable[[float], float]
"""Share of the run done → the mean of a score."""

FLAT: Curve = lambda _: 0.4  # noqa: E731
RISING: Curve = lambda done: 0.3 + 0.5 * done  # noqa: E731
FALLING: Curve = lambda done: 0.5 - 0.3 * done  # noqa: E731


def run(
    reward: Curve, held_out: Curve, seed: int, *, steps: int = 60, evaluate_every: int | None = 15, held_out_scale=1.0
) -> list[dict]:
    """Records of pass/fail scores: 8 prompts × 8 samples a step with one of each group held out, 60 validation rows."""
    stream = np.random.default_rng(seed)

    def score(chance: float, prompts: int, samples: int) -> np.ndarray:
        hard = np.clip(stream.normal(chance, 0.15, (prompts, 1)), 0.01, 0.99)
        return (stream.uniform(size=(prompts, samples)) < hard).astype(float).ravel()

    def numbers(done: float, prompts: int, samples: int) -> dict[str, float]:
        rewards = score(reward(done), prompts, samples)
        seconds = held_out_scale * score(held_out(done), prompts, 1)
        return {
            "reward_mean": rewards.mean(), "reward_std": rewards.std(ddof=1),
            "held_out": seconds.mean(), "held_out_std": seconds.std(ddof=1), "held_out_samples": len(seconds),
        }  # fmt: skip

    records: list[dict] = []
    for step in range(steps + 1):
        if step:
            records.append({"kind": "step", "step": step} | numbers(step / steps, 8, 8))
        if evaluate_every and step % evaluate_every == 0:
            records.append({"kind": "evaluation", "step": step, "rows": 60} | numbers(step / steps, 60, 1))
    return records


def alarms(records: list[dict]) -> int:
    """Times the rule speaks while the run goes on."""
    history, said = History(), 0
    for record in records:
        history = history.and_then(record)
        said += held_out_lags(history, AdviceLimits()) is not None
    return said


@pytest.mark.parametrize("held_out", [FLAT, FALLING], ids=["flat", "falling"])
@pytest.mark.parametrize("evaluate_every", [15, None], ids=["evaluated", "steps alone"])
def test_it_speaks_when_the_reward_rises_alone(held_out: Curve, evaluate_every: int | None) -> None:
    caught = [alarms(run(RISING, held_out, seed, evaluate_every=evaluate_every)) > 0 for seed in range(20)]
    assert sum(caught) >= 18 if held_out is FALLING or evaluate_every else sum(caught) >= 10


@pytest.mark.parametrize(
    ("reward", "held_out"),
    [(FLAT, FLAT), (FLAT, FALLING), (RISING, RISING), (RISING, lambda done: 0.3 + 0.3 * done), (FALLING, FALLING)],
    ids=["both flat", "reward flat", "both rise", "held-out rises less", "both fall"],
)
@pytest.mark.parametrize("evaluate_every", [15, None], ids=["evaluated", "steps alone"])
def test_it_is_silent_where_the_reward_has_not_moved_or_the_held_out_score_follows(
    reward: Curve, held_out: Curve, evaluate_every: int | None
) -> None:
    false = [seed for seed in range(40) if alarms(run(reward, held_out, seed, evaluate_every=evaluate_every))]
    assert len(false) <= 1, false


def test_a_long_flat_run_raises_no_alarm() -> None:
    assert sum(alarms(run(FLAT, FLAT, seed, steps=400, evaluate_every=20)) > 0 for seed in range(5)) == 0


def test_scores_on_another_scale_are_compared_by_their_spread() -> None:
    assert alarms(run(RISING, RISING, 3, held_out_scale=0.01)) == 0
    assert alarms(run(RISING, FALLING, 3, held_out_scale=0.01)) > 0


def test_a_held_out_score_at_its_ceiling_need_not_follow() -> None:
    assert sum(alarms(run(RISING, lambda _: 1.3, seed)) for seed in range(10)) == 0


def test_a_held_out_score_that_never_varies_tells_nothing() -> None:
    records = [record | {"held_out": 0.0, "held_out_std": 0.0} for record in run(RISING, FLAT, 1)]
    assert alarms(records) == 0


def test_without_a_held_out_grader_it_is_silent() -> None:
    plain = [{name: value for name, value in r.items() if "held_out" not in name} for r in run(RISING, FLAT, 1)]
    assert alarms(plain) == 0


def test_its_words_name_both_scores_and_the_advisor_says_them_once() -> None:
    records = run(RISING, FALLING, 2)
    found = [advice for advice in advise(records) if advice.code == "held_out_lags"]
    assert len(found) == 1
    assert "held-out score has fallen: on validation rows the reward went from" in found[0].message
    advisor = Advisor()
    said = [advice.code for record in records for advice in advisor.observe(record)]
    assert said.count("held_out_lags") == 1
