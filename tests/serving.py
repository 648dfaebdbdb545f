"""Tiny models and adapters for tests of serving, and what they answer by the library alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from tests.rollouts import move
from tuneward.config import LoraConfig, TrainingConfig
from tuneward.engine.attention import ATTENTION
from tuneward.engine.forward import PackedModel
from tuneward.engine.serving.engine import ServingEngine
from tuneward.engine.serving.limits import ServingLimits
from tuneward.models.chat import ChatTokenizer
from tuneward.models.load import add_adapter, load_adapter, load_base
from tuneward.rl.policy import Policy

LIMITS = ServingLimits(context=256, pool_tokens=4096, prefix_tokens=512, max_rows=8, max_waiting=64, pass_tokens=48)


def save_adapter(folder: Path, model: Path, *, seed: int, size: float = 0.5) -> Path:
    """A random adapter of a model folder, in peft's format."""
    policy = Policy(add_adapter(load_base(model), LoraConfig(r=4), seed=seed), TrainingConfig(), total_steps=1)
    move(policy, seed=seed, size=size)
    policy.model.save_pretrained(str(folder))
    return folder


def start_engine(model: Path, limits: ServingLimits = LIMITS) -> ServingEngine:
    torch.set_num_threads(1)
    return ServingEngine(PackedModel(load_base(model, attention=ATTENTION)), ChatTokenizer.load(model), limits)


@torch.no_grad()
def greedy(model: Path, adapter: Path | None, prompt: Sequence[int], length: int) -> list[int]:
    """The likeliest token again and again, by the library's own layers and attention."""
    naive = load_base(model) if adapter is None else load_adapter(load_base(model), adapter)
    stop_ids = ChatTokenizer.load(model).stop_ids
    answer: list[int] = []
    while len(answer) < length and not stop_ids & set(answer):
        answer.append(int(naive(input_ids=torch.tensor([[*prompt, *answer]])).logits[0, -1].argmax()))
    return answer
