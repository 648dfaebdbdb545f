"""The algorithm learns what is rewarded, and nothing when rewards are shuffled."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from tests.rollouts import BareEngine, completions_of
from tests.tiny import tiny_model

from tuneward.config import LoraConfig, LossName, TrainingConfig
from tuneward.engine.attention import ATTENTION
from tuneward.engine.sampler import SamplingParams, sample_tokens
from tuneward.models.load import add_adapter
from tuneward.rl.policy import Policy
from tuneward.rl.rollout import Rollout
from tuneward.rl.step import train_step
from tuneward.types import Completion, Group, Prompt, Receipt, Row, Score, Verdict

STEPS = 25
GROUPS, SAMPLES = 4, 8


class SamplingEngine(BareEngine):
    """Samples without a tokenizer too: rewards here look at token ids."""

    def sample(self, prompts: list[Prompt], step: int) -> list[Group]:
        owners = [i for i in range(len(prompts)) for _ in range(SAMPLES)]
        seeds = [step * 1000 + i for i in range(len(owners))]
        drawn = sample_tokens(
            self.model, [p.token_ids for p in prompts], owners, seeds, frozenset({2}), SamplingParams(8)
        )
        return [
            Group(prompt, completions_of(drawn[i * SAMPLES : (i + 1) * SAMPLES])) for i, prompt in enumerate(prompts)
        ]


def low_token_share(completion: Completion) -> float:
    return sum(token < 32 for token in completion.token_ids) / len(completion.token_ids)


def train(loss: LossName, shuffle: Callable[[list[float]], None] | None = None) -> tuple[float, float]:
    """Mean reward over the first three and the last three steps."""
    config = TrainingConfig(loss=loss, learning_rate=1e-2, max_completion_tokens=8)
    model = add_adapter(tiny_model(attention=ATTENTION), LoraConfig(r=8), seed=0)
    policy = Policy(model, config, total_steps=STEPS)
    engine = SamplingEngine(policy.packed)
    prompts = [Prompt(Row(str(i), ()), (5, 9, 10 + i)) for i in range(GROUPS)]
    means = []
    for step in range(1, STEPS + 1):
        groups = engine.sample(prompts, step)
        rewards = [low_token_share(c) for group in groups for c in group.completions]
        means.append(sum(rewards) / len(rewards))
        if shuffle is not None:
            shuffle(rewards)
        receipt = Receipt("test", Verdict.OK)
        scores = [Score("", reward, receipt) for reward in rewards]
        grouped = tuple(tuple(scores[i * SAMPLES : (i + 1) * SAMPLES]) for i in range(GROUPS))
        rollout = Rollout(tuple(groups), grouped, 0.0, 0.0)
        train_step(policy, engine, rollout, config, step=step, token_budget=4096)  # type: ignore[arg-type]
    return sum(means[:3]) / 3, sum(means[-3:]) / 3


@pytest.mark.parametrize("loss", ["dapo", "dr_grpo", "grpo", "gspo", "cispo"])
def test_every_loss_raises_the_reward(loss: LossName) -> None:
    before, after = train(loss)
    assert after > before + 0.3


def test_shuffled_rewards_teach_nothing() -> None:
    stream = random.Random(0)
    before, after = train("dapo", stream.shuffle)
    assert abs(after - before) < 0.15
