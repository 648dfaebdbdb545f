"""One supervised step: its loss and gradient are those of the library run on each conversation alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tuneward.config import LoraConfig, SupervisedTrainingConfig
from tuneward.engine.attention import ATTENTION
from tuneward.models.chat import ChatTokenizer
from tuneward.models.load import add_adapter, load_base
from tuneward.rl.policy import Policy
from tuneward.rl.supervised import Lesson, measure_losses, supervised_step

TALK = (
    {"role": "user", "content": "Name a colour."},
    {"role": "assistant", "content": "Red."},
    {"role": "user", "content": "Another?"},
    {"role": "assistant", "content": "Green, or blue."},
)


def policy_of(folder: Path, *, attention: str = ATTENTION, rate: float = 1e-2) -> Policy:
    model = add_adapter(load_base(folder, attention=attention), LoraConfig(r=4), seed=3)
    return Policy(model, SupervisedTrainingConfig(learning_rate=rate), total_steps=10, merge=False)


@pytest.fixture(scope="module")
def lessons(tiny_chat_model: Path) -> list[Lesson]:
    tokenizer = ChatTokenizer.load(tiny_chat_model)
    short = ({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"})
    return [
        Lesson("talk", tuple(tokenizer.render_answer(TALK[: end + 1]) for end in (1, 3))),
        Lesson("short", (tokenizer.render_answer(short),)),
    ]


def naive(policy: Policy, lessons: list[Lesson]) -> tuple[torch.Tensor, int]:
    """Mean loss by the library's own forward, one turn at a time; and how many tokens were the likeliest."""
    parts, right = [], 0
    for prompt, answer in (turn for lesson in lessons for turn in lesson.turns):
        logits = policy.model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1]
        wanted = torch.tensor(answer)
        parts.append(torch.nn.functional.cross_entropy(logits, wanted, reduction="none"))
        right += int((logits.argmax(-1) == wanted).sum())
    return torch.cat(parts).mean(), right


@pytest.mark.parametrize("budget", [16, 4096])
def test_loss_and_gradient_equal_the_librarys(tiny_chat_model: Path, lessons: list[Lesson], budget: int) -> None:
    plain = policy_of(tiny_chat_model, attention="eager")
    expected, right = naive(plain, lessons)
    expected.backward()
    policy = policy_of(tiny_chat_model)
    policy.update = lambda _step: None  # type: ignore[method-assign]  # the gradient is what is looked at
    result = supervised_step(policy, lessons, step=1, token_budget=budget)
    assert result.skipped is None
    tokens = sum(lesson.learned_tokens for lesson in lessons)
    assert result.losses.tokens == tokens
    assert math.isclose(result.losses.loss, expected.item(), rel_tol=1e-5)
    assert result.losses.token_accuracy == right / tokens
    norm = math.sqrt(sum(float(p.grad.square().sum()) for p in plain.parameters if p.grad is not None))
    assert math.isclose(result.grad_norm, norm, rel_tol=1e-4)
    largest = policy._config.max_grad_norm
    for ours, theirs in zip(policy.parameters, plain.parameters, strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        scale = min(1.0, largest / norm)
        assert torch.allclose(ours.grad, theirs.grad * scale, atol=1e-6)


def test_steps_lower_the_loss_on_what_was_learned(tiny_chat_model: Path, lessons: list[Lesson]) -> None:
    policy = policy_of(tiny_chat_model)
    before = measure_losses(policy.packed, lessons, 4096)
    for step in range(1, 9):
        supervised_step(policy, lessons, step=step, token_budget=4096)
    after = measure_losses(policy.packed, lessons, 4096)
    assert after.loss < 0.9 * before.loss
    assert after.tokens == before.tokens


def test_a_gradient_that_is_no_number_changes_nothing(tiny_chat_model: Path, lessons: list[Lesson]) -> None:
    policy = policy_of(tiny_chat_model)
    supervised_step(policy, lessons, step=1, token_budget=4096)
    good = [parameter.detach().clone() for parameter in policy.parameters]
    policy.clip_gradients = lambda: math.nan  # type: ignore[method-assign]
    result = supervised_step(policy, lessons, step=2, token_budget=4096)
    assert "non-finite" in (result.skipped or "")
    assert policy.is_finite()
    assert all(p.grad is None for p in policy.parameters)
    assert len(good) == len(policy.parameters)


def test_an_answer_is_learned_as_it_would_be_sampled(tiny_chat_model: Path) -> None:
    tokenizer = ChatTokenizer.load(tiny_chat_model)
    prompt, answer = tokenizer.render_answer(TALK)
    assert prompt == tokenizer.render_messages(TALK[:3])
    assert tokenizer.decode(answer) == "Green, or blue."
    assert answer[-1] in tokenizer.stop_ids
    assert not set(answer[:-1]) & tokenizer.stop_ids
