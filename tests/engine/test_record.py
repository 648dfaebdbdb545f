"""What sampling leaves to the update is what the update would have computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from tests.tiny import ARCHITECTURES, VOCABULARY, tiny_model
from torch import Tensor

from tuneward.config import LoraConfig
from tuneward.engine import lora_linear
from tuneward.engine.attention import ATTENTION
from tuneward.engine.forward import PackedModel
from tuneward.engine.record import HEAD, ForwardRecord
from tuneward.engine.sampler import SamplingParams, sample_tokens
from tuneward.engine.scorer import Pair, completion_logprobs
from tuneward.engine.tree import build_tree
from tuneward.models.load import add_adapter, trainable_parameters

PROMPTS = [(5, 9, 3, 17), (5, 9, 8), (5, 9, 3, 17, 20)]
SAMPLES = 4


@dataclass
class Sampled:
    """A policy and what it has sampled."""

    model: torch.nn.Module
    packed: PackedModel
    record: ForwardRecord
    pairs: list[Pair]

    def sample(self) -> None:
        owners = [prompt for prompt in range(len(PROMPTS)) for _ in range(SAMPLES)]
        with self.packed.merged(self.record):
            samples = sample_tokens(
                self.packed, PROMPTS, owners, range(len(owners)), frozenset(range(0, VOCABULARY, 7)),
                SamplingParams(9, 0.8), record=self.record,
            )  # fmt: skip
        self.pairs = [(PROMPTS[owner], tuple(sample.token_ids)) for owner, sample in zip(owners, samples, strict=True)]

    def outcome(self, record: ForwardRecord | None) -> tuple[Tensor, Tensor]:
        """Log-probs, and the adapter's gradient of a weighted sum of them."""
        logp = completion_logprobs(self.packed, self.pairs, 0.8, record)
        (logp * torch.linspace(-1, 1, len(logp))).sum().backward()
        parameters = trainable_parameters(self.model)
        gradient = torch.cat([parameter.grad.flatten() for parameter in parameters])
        for parameter in parameters:
            parameter.grad = None
        return logp.detach(), gradient


def sampled(name: str, capacity: int = 1000) -> Sampled:
    model = add_adapter(tiny_model(name, attention=ATTENTION), LoraConfig(r=4), seed=0)
    torch.manual_seed(1)
    for parameter in trainable_parameters(model):
        parameter.data = torch.randn_like(parameter) * 0.2
    policy = Sampled(model, PackedModel(model), ForwardRecord(capacity), [])
    policy.sample()
    assert len({len(completion) for _, completion in policy.pairs}) > 1
    return policy


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_replayed_logprobs_and_gradients_are_the_computed_ones(name: str) -> None:
    policy = sampled(name)
    replayed, computed = policy.outcome(policy.record), policy.outcome(None)
    torch.testing.assert_close(replayed[0], computed[0], rtol=1e-5, atol=1e-5)
    # Sharp attention of random weights amplifies the rounding of 1e-5 above: to 2.4e-4 on gpt-oss.
    assert float((replayed[1] - computed[1]).norm()) <= 1e-3 * float(computed[1].norm())


@pytest.mark.parametrize("capacity", [20, 40])
def test_tokens_beyond_the_capacity_are_computed(capacity: int) -> None:
    policy = sampled("Llama", capacity)
    replayed, computed = policy.outcome(policy.record), policy.outcome(None)
    torch.testing.assert_close(replayed[0], computed[0], rtol=1e-5, atol=1e-5)
    assert float((replayed[1] - computed[1]).norm()) <= 1e-4 * float(computed[1].norm())


@pytest.mark.parametrize(("capacity", "is_multiplied"), [(1000, False), (40, True)])
def test_no_wide_product_of_the_forward_pass_is_made_twice(
    capacity: int, is_multiplied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = sampled("Llama", capacity)
    made: list[int] = []
    usual = lora_linear._product

    def counted(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        made.append(len(x))
        return usual(x, weight, bias)

    monkeypatch.setattr(lora_linear, "_product", counted)
    tokens = len(build_tree([(*prompt, *completion[:-1]) for prompt, completion in policy.pairs]))
    with monkeypatch.context() as patch:
        head = policy.model.get_output_embeddings()
        computed_head = head.forward
        patch.setattr(torch.nn.functional, "linear", lambda *_: pytest.fail("the head was computed"))
        if is_multiplied:
            patch.undo()
        completion_logprobs(policy.packed, policy.pairs, 0.8, policy.record)
    assert computed_head == head.forward
    assert bool(made) is is_multiplied
    assert all(rows < tokens for rows in made), "only what is missing"


def test_a_cleared_record_changes_nothing() -> None:
    policy = sampled("Llama")
    policy.record.clear()
    tree = build_tree([(1, 2)])
    assert policy.record.replay(tree, [(1, 2)], np.array([0])) is None
    torch.testing.assert_close(policy.outcome(policy.record)[0], policy.outcome(None)[0], rtol=0, atol=0)


def test_a_record_used_again_holds_the_new_policy_alone() -> None:
    policy = sampled("Llama")
    with torch.no_grad():
        for parameter in trainable_parameters(policy.model):
            parameter.mul_(1.5)
    stale = policy.outcome(policy.record)[0]
    policy.record.clear()
    policy.sample()
    replayed, computed = policy.outcome(policy.record), policy.outcome(None)
    torch.testing.assert_close(replayed[0], computed[0], rtol=1e-5, atol=1e-5)
    assert len(stale) != len(computed[0]) or not torch.allclose(stale, computed[0], atol=1e-3)


def passes(record: ForwardRecord, outputs: list[list[Tensor]]) -> None:
    """Forward passes over two tokens each; the layer puts out the tensors of a pass one after another."""
    for tensors in outputs:
        record.open(2, np.array([1]))
        for tensor in tensors:
            record.tap(0, lambda _, tensor=tensor: tensor)(tensor)


@pytest.mark.parametrize(
    "outputs",
    [
        [[torch.ones(2, 3), torch.ones(2, 3)]],  # twice in one pass
        [[torch.ones(2, 3)], [], [torch.ones(2, 3)]],  # not in every pass
        [[torch.ones(2, 3)], []],
        [[torch.ones(5, 3)]],  # other tokens than the packed ones
    ],
)
def test_a_layer_that_does_not_see_each_token_once_is_not_kept(outputs: list[list[Tensor]]) -> None:
    record = ForwardRecord(20)
    passes(record, outputs)
    assert record.take(0, torch.tensor([0])) is None


def test_a_layer_that_sees_each_token_once_is_kept() -> None:
    record = ForwardRecord(4)
    passes(record, [[torch.full((1, 2, 3), 1.0)], [torch.full((1, 2, 3), 2.0)], [torch.full((1, 2, 3), 3.0)]])
    taken = record.take(0, torch.tensor([3, 0]))
    assert taken is not None
    assert taken.tolist() == [[2.0] * 3, [1.0] * 3], "the third pass found no room"
    assert record.take(HEAD, torch.tensor([0])) is None
