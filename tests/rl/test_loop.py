"""The training loop: what it does when, and how it takes non-finite numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from tests.rollouts import BareEngine, change_logprobs, parameters_of, sampled_rollout, tiny_policy

from tuneward.config import Config
from tuneward.errors import GraderError, NonFiniteError, TrainingError
from tuneward.rewards.policy import FailurePolicy
from tuneward.rl import loop
from tuneward.rl.policy import Policy
from tuneward.rl.rollout import Rollout
from tuneward.rl.schedule import PromptSchedule
from tuneward.rl.step import StepResult
from tuneward.rl.stopping import Progress
from tuneward.types import Prompt, Row

REWARDS = [[1.0, 0.0, 0.0, 1.0]]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@dataclass
class FakeHooks:
    """Writes down what the loop asked for."""

    rewards: Callable[[int], float] = lambda step: float(step)
    exact: float = 0.0
    stop_after: int | None = None
    progress: Progress = field(default_factory=Progress)
    records: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[int] = field(default_factory=list)
    extras: list[dict[str, float]] = field(default_factory=list)
    saves: list[tuple[int, bool]] = field(default_factory=list)
    stepped_on: list[int] = field(default_factory=list)

    def emit(self, record: dict[str, Any]) -> None:
        self.records.append(record)

    def stepped(self, result: StepResult) -> None:
        self.stepped_on.append(result.step)

    def evaluate(self, step: int, extra: dict[str, float]) -> tuple[float, float]:
        self.evaluations.append(step)
        self.extras.append(extra)
        return self.rewards(step), self.exact

    def save(self, step: int, *, is_best: bool) -> None:
        self.saves.append((step, is_best))

    def wants_stop(self) -> str | None:
        return "asked to" if self.progress.step == self.stop_after else None

    def events(self) -> list[tuple[int, str]]:
        return [(record["step"], record["code"]) for record in self.records if record["kind"] == "event"]

    def steps(self) -> list[int]:
        return [record["step"] for record in self.records if record["kind"] == "step"]


@dataclass
class Loop:
    """A loop over a tiny policy whose rollouts may be spoiled at chosen steps."""

    monkeypatch: pytest.MonkeyPatch
    hooks: FakeHooks = field(default_factory=FakeHooks)
    policy: Policy = field(init=False)
    nan_sampling: Sequence[int] = ()
    nan_loss: Sequence[int] = ()
    rewards: list[list[float]] = field(default_factory=lambda: REWARDS)
    rolled_out: list[int] = field(default_factory=list)

    def run(
        self, steps: int, *, every: int = 100, first_rollout: Rollout | None = None, **sections: dict[str, Any]
    ) -> str:
        tree = {
            "data": {"train": "t"},
            "reward": {"file": "r"},
            "training": {"max_completion_tokens": 8} | sections.pop("training", {}),
            "evaluation": {"early_stopping": False} | sections.pop("evaluation", {}),
            "run": {"checkpoint_every_steps": 1000} | sections.pop("run", {}),
        }
        config = Config.model_validate(tree)
        self.policy = tiny_policy(config.training, total_steps=steps)

        def roll_out(*_: Any, step: int, **__: Any) -> Rollout:
            self.rolled_out.append(step)
            if step in self.nan_sampling:
                raise NonFiniteError("The model produced NaN or infinite logits while sampling.")
            made = sampled_rollout(self.policy, self.rewards, max_tokens=4)
            return change_logprobs(made, math.nan) if step in self.nan_loss else made

        self.monkeypatch.setattr(loop, "roll_out", roll_out)
        prompts = [Prompt(Row("row-0", ()), (5, 9, 10))]
        engine: Any = BareEngine(self.policy.packed)
        grader: Any = None
        return loop.training_loop(
            self.policy,
            engine,
            grader,
            FailurePolicy("exclude", 0.1),
            PromptSchedule(prompts, 1, seed=0, shuffle=False),
            config,
            self.hooks.progress,
            self.hooks,
            total_steps=steps,
            evaluate_every=every,
            token_budget=4096,
            first_rollout=first_rollout,
        )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Loop:
    return Loop(monkeypatch)


def test_evaluations_come_at_multiples_and_at_the_end(made: Loop) -> None:
    assert made.run(7, every=3) == "all 7 steps are done"
    assert made.hooks.evaluations == [3, 6, 7]
    assert made.hooks.steps() == made.hooks.stepped_on == [1, 2, 3, 4, 5, 6, 7]


def test_the_last_step_is_evaluated_once_when_it_is_a_multiple(made: Loop) -> None:
    made.run(4, every=2)
    assert made.hooks.evaluations == [2, 4]


def test_each_evaluation_carries_the_kl_to_the_reference(made: Loop) -> None:
    made.run(3, every=1, training={"learning_rate": 1e-2})
    values = [extra["kl_ref"] for extra in made.hooks.extras]
    # The first rollout comes from the untouched policy, so its KL is exactly the reference's: zero.
    assert values[0] == pytest.approx(0, abs=1e-9)
    assert values[2] > values[0]


def test_checkpoints_come_at_their_cadence_at_evaluations_and_at_the_end(made: Loop) -> None:
    made.hooks.rewards = {2: 0.5, 4: 0.1, 6: 0.9, 7: 0.2}.__getitem__
    made.run(7, every=2, run={"checkpoint_every_steps": 3})
    assert made.hooks.saves == [(2, True), (3, False), (4, False), (6, True), (7, False)]
    assert (made.hooks.progress.best_step, made.hooks.progress.best_reward) == (6, 0.9)


def test_early_stopping_ends_after_patience_and_saves(made: Loop) -> None:
    made.hooks.rewards = lambda _: 0.5
    reason = made.run(20, every=1, evaluation={"early_stopping": True, "patience": 2})
    assert "not improved for 2 evaluations" in reason
    assert made.hooks.evaluations == [1, 2, 3]
    assert made.hooks.saves[-1] == (3, False)


def test_it_stops_at_the_wanted_exact_share(made: Loop) -> None:
    made.hooks.exact = 0.95
    assert "evaluation.stop_at_exact" in made.run(20, every=2, evaluation={"stop_at_exact": 0.9})
    assert made.hooks.progress.step == 2


def test_stop_at_finishes_that_step_saves_and_stops(made: Loop) -> None:
    assert made.run(20, run={"stop_at": 3}) == "run.stop_at is 3"
    assert made.hooks.steps() == [1, 2, 3]
    assert made.hooks.saves == [(3, False)]


def test_a_wish_from_outside_finishes_the_step_saves_and_stops(made: Loop) -> None:
    made.hooks.stop_after = 2
    assert made.run(20) == "asked to"
    assert made.hooks.steps() == [1, 2]
    assert made.hooks.saves == [(2, False)]


def test_it_goes_on_from_where_progress_stands(made: Loop) -> None:
    made.hooks.progress.step = 5
    made.run(7)
    assert made.rolled_out == [6, 7]


def test_a_finished_run_does_nothing(made: Loop) -> None:
    made.hooks.progress.step = 7
    assert made.run(7) == "all 7 steps are done"
    assert (made.hooks.records, made.hooks.saves) == ([], [])


def test_a_rollout_made_before_is_used_for_the_first_step_only(made: Loop) -> None:
    policy = tiny_policy(Config.model_validate({"data": {"train": "t"}, "reward": {"file": "r"}}).training)
    made.run(2, first_rollout=sampled_rollout(policy, REWARDS, max_tokens=4))
    assert made.hooks.steps() == [1, 2]
    assert made.rolled_out == [2]


def test_without_signal_the_run_goes_on_and_says_so_in_the_record(made: Loop) -> None:
    made.rewards = [[1.0] * 4]
    made.run(5)
    assert [record.get("skipped") for record in made.hooks.records] == ["no group has differing rewards"] * 5
    assert made.hooks.events() == []


def test_failed_scores_beyond_the_budget_stop_the_run(made: Loop) -> None:
    made.rewards = [[math.nan, math.nan, 0.0, 1.0]]
    with pytest.raises(GraderError, match="error_budget"):
        made.run(50)
    assert made.hooks.progress.step == 12  # 4 samples a step: the budget counts from 50 on


@pytest.mark.parametrize("where", ["nan_sampling", "nan_loss"])
def test_a_non_finite_step_is_skipped_with_an_event_and_the_run_goes_on(made: Loop, where: str) -> None:
    setattr(made, where, (2,))
    assert made.run(4) == "all 4 steps are done"
    assert made.hooks.events() == [(2, "skipped_update")]
    assert made.hooks.progress.non_finite_in_a_row == 0
    assert made.policy.is_finite()


@pytest.mark.parametrize("where", ["nan_sampling", "nan_loss"])
def test_non_finite_steps_in_a_row_stop_the_run_with_advice(made: Loop, where: str) -> None:
    setattr(made, where, range(3, 100))
    with pytest.raises(TrainingError, match=r"3 times in a row.*lower training\.learning_rate"):
        made.run(20)
    assert made.hooks.events() == [(step, "skipped_update") for step in (3, 4, 5)]
    assert made.policy.is_finite()


def test_non_finite_steps_of_both_kinds_count_together(made: Loop) -> None:
    made.nan_sampling, made.nan_loss = (3,), (2,)
    with pytest.raises(TrainingError, match="2 times in a row"):
        made.run(20, training={"max_skipped_updates": 2})


def test_a_good_step_starts_the_count_anew(made: Loop) -> None:
    made.nan_sampling, made.nan_loss = (2, 5), (3, 6)
    assert made.run(8, training={"max_skipped_updates": 3}) == "all 8 steps are done"
    assert [step for step, _ in made.hooks.events()] == [2, 3, 5, 6]


def test_non_finite_sampling_takes_back_the_update_before_it(made: Loop) -> None:
    made.nan_sampling = (2,)
    made.run(2, training={"learning_rate": 1e-2})
    untouched = tiny_policy(Config.model_validate({"data": {"train": "t"}, "reward": {"file": "r"}}).training)
    for ours, theirs in zip(parameters_of(made.policy), parameters_of(untouched), strict=True):
        assert torch.equal(ours, theirs)


def test_a_skipped_last_step_is_still_evaluated_and_saved(made: Loop) -> None:
    made.nan_sampling = (4,)
    made.run(4, every=2)
    assert made.hooks.evaluations == [2, 4]
    assert made.hooks.extras[1] == {}
    assert made.hooks.saves[-1][0] == 4


def test_a_skipped_step_still_honours_a_wish_to_stop(made: Loop) -> None:
    made.nan_sampling, made.hooks.stop_after = (2,), 2
    assert made.run(20) == "asked to"
    assert made.hooks.saves == [(2, False)]
