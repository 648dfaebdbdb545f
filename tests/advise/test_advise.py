"""Each rule speaks on its bad case and is silent on healthy curves; the advisor does not repeat itself."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tuneward.advise import RULES, Advisor, advise, preflight_advice

HEALTHY_END = 60


def step_record(step: int, **numbers: float) -> dict:
    """A step of an unremarkable run, with some numbers replaced."""
    waiting = numbers.pop("seconds_reward", 0.2)
    record = {
        "kind": "step",
        "step": step,
        "reward_mean": min(0.85, 0.3 + 0.01 * step),
        "reward_std": 0.4,
        "reward_min": 0.0,
        "reward_max": 1.0,
        "exact": min(0.8, 0.2 + 0.01 * step),
        "entropy": max(0.4, 1.0 - 0.01 * step),
        "completion_length_mean": 40.0,
        "completion_tokens": 40 * 64,
        "truncated_share": 0.02,
        "zero_signal_share": 0.25,
        "grad_norm": 0.3,
        "mismatch_exp": 1.001,
        "mismatch_mean": 1e-4,
        "grader_errors": 0,
    }
    return record | numbers | {"timing": {"seconds_reward": waiting, "seconds_step": 10.0}}


def evaluation_record(step: int, reward: float, **numbers: float) -> dict:
    return {"kind": "evaluation", "step": step, "reward_mean": reward, "reward_std": 0.1, "rows": 100} | numbers


def run_of(steps: int, **curves) -> list[dict]:
    """Steps 1 … n; a curve is a constant or a function of the step."""
    return [
        step_record(step, **{name: curve(step) if callable(curve) else curve for name, curve in curves.items()})
        for step in range(1, steps + 1)
    ]


def noisy_healthy_run(seed: int) -> list[dict]:
    """A learning run as small batches show it: 8 prompts × 8 pass/fail samples a step."""
    stream = np.random.default_rng(seed)
    records = [evaluation_record(0, 0.2, reward_std=0.4)]
    for step in range(1, HEALTHY_END + 1):
        chance = 0.2 + 0.6 * (1 - np.exp(-step / 20))
        groups = stream.binomial(8, np.clip(stream.normal(chance, 0.2, 8), 0.02, 0.98))
        reward = groups.sum() / 64
        records.append(
            step_record(
                step,
                reward_mean=reward,
                exact=reward,
                reward_std=float(np.sqrt(reward * (1 - reward))),
                entropy=float(1.0 * np.exp(-step / 60) * stream.lognormal(0, 0.08)),
                completion_length_mean=float(40 * stream.lognormal(0.003 * step, 0.08)),
                truncated_share=float(stream.beta(1, 40)),
                zero_signal_share=float(np.isin(groups, (0, 8)).mean()),
                grad_norm=float(0.3 * stream.lognormal(0, 0.35)),
                mismatch_exp=float(1 + stream.exponential(0.001)),
                mismatch_mean=float(stream.exponential(2e-4)),
                grader_errors=int(stream.binomial(64, 0.005)),
                seconds_reward=float(stream.exponential(0.3)),
            )
        )
        if step % 10 == 0:
            records.append(evaluation_record(step, chance + stream.normal(0, 0.04), reward_std=0.4))
    return records


def codes(records: list[dict]) -> list[str]:
    return [advice.code for advice in advise(records)]


BAD = {
    "reward_plateau": run_of(20, reward_mean=lambda s: 0.05 + 0.01 * (s % 3), exact=0.0),
    "reward_spread_rising": run_of(24, reward_mean=0.5, reward_std=lambda s: 0.2 + 0.01 * s + 0.005 * (s % 2)),
    "overfitting": [
        *run_of(10),
        evaluation_record(10, 0.6),
        *(step_record(s) for s in range(11, 21)),
        evaluation_record(20, 0.55),
        *(step_record(s) for s in range(21, 31)),
        evaluation_record(30, 0.5),
    ],
    "entropy_collapse": run_of(20, entropy=lambda s: max(0.03, 1.0 - 0.07 * s)),
    "saturated": run_of(20, reward_mean=0.98, exact=0.97, entropy=0.02, zero_signal_share=0.8),
    "truncated": run_of(5, truncated_share=0.2),
    "length_growth": run_of(30, completion_length_mean=lambda s: 40 + 3.0 * s),
    "length_jump": [*run_of(10), step_record(11, completion_length_mean=70.0)],
    "zero_signal": run_of(8, zero_signal_share=0.7),
    "no_signal": run_of(10, zero_signal_share=0.95),
    "grad_norm_spike": [*run_of(10), step_record(11, grad_norm=2.0)],
    "mismatch": run_of(3, mismatch_exp=1.05, mismatch_mean=0.04),
    "grader_errors": run_of(5, grader_errors=6),
    "reward_wait": run_of(5, seconds_reward=4.0),
    "held_out_lags": run_of(30, held_out=lambda s: 0.5 - 0.005 * s, held_out_std=0.4, held_out_samples=8),
    "reward_ignored": run_of(
        60, reward_mean=lambda s: 0.4 + 0.005 * (s % 2), entropy=lambda s: 1.0 + 0.01 * (s % 3), exact=0.1
    ),
}


@pytest.mark.parametrize("code", BAD)
def test_rule_speaks_on_its_bad_case_and_alone(code):
    found = advise(BAD[code])
    assert [advice.code for advice in found] == [code]
    assert found[0].message.endswith(".")
    assert found[0].action.endswith(".")


def test_every_rule_has_a_bad_case():
    assert len(BAD) == len(RULES) + 1  # the zero-signal rule has two codes


@pytest.mark.parametrize("length", [0, 1, 3, 5, 20, 60, 200])
def test_healthy_curve_gets_no_advice(length):
    assert codes(run_of(length)) == []


def test_noisy_healthy_runs_get_no_advice_at_any_step():
    said = {}
    for seed in range(20):
        advisor = Advisor()
        said[seed] = [advice.code for record in noisy_healthy_run(seed) for advice in advisor.observe(record)]
    assert sum(map(len, said.values())) <= 1, said


def test_low_entropy_at_full_reward_is_called_saturated_not_collapse():
    assert codes(BAD["saturated"]) == ["saturated"]


def test_rewards_on_another_scale_are_not_called_saturated():
    assert "saturated" not in codes(run_of(20, reward_mean=4.0, reward_max=10.0, exact=0.3))


def test_low_reward_that_rises_is_not_a_plateau():
    assert codes(run_of(24, reward_mean=lambda s: 0.005 * s, exact=0.0)) == []


def test_spread_that_grows_with_a_rising_mean_is_learning():
    assert codes(run_of(24, reward_mean=lambda s: 0.02 * s, reward_std=lambda s: 0.1 + 0.015 * s)) == []


def test_validation_that_wobbles_within_its_noise_is_not_overfitting():
    records = [*run_of(30), *(evaluation_record(s, 0.6 - s / 1000, reward_std=0.5, rows=50) for s in (10, 20, 30))]
    assert codes(records) == []


def test_longer_answers_without_more_reward_are_not_suspected():
    assert codes(run_of(30, completion_length_mean=lambda s: 40 + 3.0 * s, reward_mean=0.4, exact=0.1)) == []


def test_steps_without_gradient_or_reward_are_bearable():
    bare = [{"kind": "step", "step": step} for step in range(1, 70)]
    assert advise([*bare, {"kind": "event", "step": 69, "code": "x"}, {"kind": "evaluation", "step": 69}]) == []


def test_stop_advice_comes_instead_of_the_warning():
    assert [advice.severity for advice in advise(BAD["no_signal"])] == ["stop"]


def test_advisor_says_a_thing_once_and_again_only_after_it_was_gone():
    advisor = Advisor()
    truncated = [0.0] * 5 + [0.3] * 10 + [0.0] * 20 + [0.3] * 10
    said = [
        (step, advice.code)
        for step, share in enumerate(truncated, 1)
        for advice in advisor.observe(step_record(step, truncated_share=share))
    ]
    assert [code for _, code in said] == ["truncated", "truncated"]
    assert said[0][0] < 10 < 35 < said[1][0]


def test_advisor_is_quiet_about_a_number_that_hovers_around_its_threshold():
    advisor = Advisor()
    said = [
        advice.code
        for step in range(1, 60)
        for advice in advisor.observe(step_record(step, mismatch_exp=1.03 if step % 3 else 1.01))
    ]
    assert said == ["mismatch"]


def test_restored_advisor_goes_on_as_if_never_stopped():
    records = [record for code in ("length_growth", "truncated", "overfitting") for record in BAD[code]]
    records = [record | {"step": number} for number, record in enumerate(records, 1)]
    whole = Advisor()
    expected = [whole.observe(record) for record in records]
    for cut in (1, 17, 40):
        first, second = Advisor(), Advisor()
        said = [first.observe(record) for record in records[:cut]]
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        said += [second.observe(record) for record in records[cut:]]
        assert said == expected
        assert second.state_dict() == whole.state_dict()


def test_memory_of_a_long_run_stays_small():
    advisor = Advisor()
    for step in range(1, 2001):
        advisor.observe(step_record(step))
    assert len(json.dumps(advisor.state_dict())) < 50_000


def preflight(**changes) -> list[tuple[str, str]]:
    numbers = {
        "prompts": 32,
        "reward_mean": 0.3,
        "base_reward": 0.3,
        "base_exact": 0.2,
        "mixed_groups_share": 0.7,
        "truncated_share": 0.0,
    }
    return [(advice.code, advice.severity) for advice in preflight_advice(**(numbers | changes))]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"base_exact": 0.0}, []),  # no full success yet, but partial credit to climb on
        (
            {"reward_mean": 0.0, "base_reward": 0.0, "base_exact": 0.0, "mixed_groups_share": 0.0},
            [("base_zero", "stop"), ("no_signal", "stop")],
        ),
        ({"base_exact": 0.97}, [("base_solved", "warning")]),
        ({"base_reward": 0.96}, [("base_solved", "warning")]),
        ({"base_reward": 6.0}, []),
        ({"mixed_groups_share": 0.0}, [("no_signal", "stop")]),
        ({"mixed_groups_share": 0.1}, [("little_signal", "warning")]),
        ({"truncated_share": 0.4}, [("truncated", "warning")]),
    ],
)
def test_preflight_advice(changes, expected):
    assert preflight(**changes) == expected
