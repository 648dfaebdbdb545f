"""The packed tree and the naive one-sample-at-a-time path are the same mathematics, on every architecture."""

from __future__ import annotations

import pytest
import torch
from tests.tiny import ARCHITECTURES, VOCABULARY, tiny_model
from torch import Tensor

from tuneward.config import LoraConfig
from tuneward.engine.attention import ATTENTION
from tuneward.engine.forward import PackedModel
from tuneward.engine.sampler import SamplingParams, sample_tokens
from tuneward.engine.scorer import Pair, completion_logprobs, pack
from tuneward.models.load import add_adapter, trainable_parameters

PROMPT = (5, 9, 3, 17, 4, 8, 11)
SHAPES: dict[str, list[Pair]] = {
    "shared beginnings": [
        (PROMPT, (7, 8, 9, 10, 2)),
        (PROMPT, (7, 8, 9, 12, 13, 2)),
        (PROMPT, (7, 20, 2)),
        ((5, 9, 6), (30, 31)),
        ((5, 9, 6), (30, 31, 2)),
    ],
    "all identical": [(PROMPT, (7, 8, 9, 2))] * 4,
    "all different": [((i, i + 1), (i + 2, i + 3, i + 4)) for i in range(3, 90, 10)],
    "single tokens": [(PROMPT, (2,)), (PROMPT, (3,)), ((5,), (2,))],
    "long": [(tuple(range(3, 90)) * 2, tuple(range(3, 60))), (tuple(range(3, 90)) * 2, tuple(range(60, 3, -1)))],
}


TRAINED_SCALE = 0.5

EAGER_ONLY = {"GptOss", "Gemma2"}
"""Attention sinks and score caps exist in the library's eager attention alone."""


@pytest.fixture
def all_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library runs norms and its eager softmax in fp32 whatever the model's type; here they run in fp64."""
    monkeypatch.setattr(torch, "float32", torch.float64)
    monkeypatch.setattr(torch, "float", torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


def assert_same(ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    """Norm of the difference relative to the norm."""
    assert float((ours - theirs).norm()) <= tolerance * float(theirs.norm()) + 1e-12


def naive_logprobs(model: torch.nn.Module, pairs: list[Pair], temperature: float) -> Tensor:
    """One sequence at a time through the library's own attention."""
    out = []
    for prompt, completion in pairs:
        ids = torch.tensor([[*prompt, *completion]])
        logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1] / temperature
        out.append(logits.log_softmax(-1).gather(-1, torch.tensor(completion)[:, None])[:, 0])
    return torch.cat(out)


def twin_models(name: str, dtype: torch.dtype, seed: int = 0) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The same adapted model twice: on our attention, and on the library's."""
    models = []
    for attention in (ATTENTION, "eager" if name in EAGER_ONLY else "sdpa"):
        model = add_adapter(tiny_model(name, attention=attention, dtype=dtype, seed=seed), LoraConfig(r=4), seed=1)
        torch.manual_seed(3)
        for parameter in trainable_parameters(model):
            parameter.data = torch.randn_like(parameter).to(dtype) * 0.2
        models.append(model)
    return models[0], models[1]


@pytest.mark.usefixtures("all_double")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_packed_logprobs_and_adapter_gradients_equal_the_naive_path(name: str, shape: str) -> None:
    pairs = SHAPES[shape]
    packed, naive = twin_models(name, torch.float64)
    weight = torch.linspace(-1, 1, sum(len(completion) for _, completion in pairs), dtype=torch.float64)

    ours = completion_logprobs(PackedModel(packed), pairs, 0.7)
    (ours * weight).sum().backward()
    theirs = naive_logprobs(naive, pairs, 0.7)
    (theirs * weight).sum().backward()

    assert_same(ours, theirs, 1e-10)
    for mine, other in zip(trainable_parameters(packed), trainable_parameters(naive), strict=True):
        assert_same(mine.grad, other.grad, 1e-10)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_single_precision_stays_within_a_hundred_thousandth(name: str, shape: str) -> None:
    pairs = SHAPES[shape]
    packed, naive = twin_models(name, torch.float32)
    with torch.no_grad():  # as flat as a trained model; the steep ones above magnify rounding, also in the library
        for parameter in (*packed.parameters(), *naive.parameters()):
            parameter.mul_(TRAINED_SCALE if parameter.ndim > 1 else 1)
    weight = torch.linspace(-1, 1, sum(len(completion) for _, completion in pairs))

    ours = completion_logprobs(PackedModel(packed), pairs, 1.0)
    (ours * weight).sum().backward()
    theirs = naive_logprobs(naive, pairs, 1.0)
    (theirs * weight).sum().backward()

    assert_same(ours, theirs, 1e-5)
    whole = [torch.cat([p.grad.flatten() for p in trainable_parameters(model)]) for model in (packed, naive)]
    assert_same(*whole, 1e-5)


@pytest.mark.parametrize("budget", [1, 9, 40, 10_000])
def test_any_micro_batching_gives_the_same_gradient(budget: int) -> None:
    pairs = SHAPES["shared beginnings"] + SHAPES["all identical"]
    model, _ = twin_models("Qwen3", torch.float32)
    packed = PackedModel(model)
    whole = completion_logprobs(packed, pairs, 1.0).square().sum()
    whole.backward()
    expected = [parameter.grad.clone() for parameter in trainable_parameters(model)]
    model.zero_grad()

    parts = pack(pairs, budget)
    for indices in parts:
        completion_logprobs(packed, [pairs[i] for i in indices], 1.0).square().sum().backward()

    assert sorted(i for indices in parts for i in indices) == list(range(len(pairs)))
    for parameter, value in zip(trainable_parameters(model), expected, strict=True):
        assert_same(parameter.grad, value, 2e-6)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_sampler_logprobs_are_those_of_the_naive_path(name: str) -> None:
    packed, naive = twin_models(name, torch.float64)
    prompts = [PROMPT, (5, 9, 6), (40,), tuple(range(3, 30))]
    owners = [0, 0, 0, 1, 1, 2, 3, 3, 3]
    samples = sample_tokens(
        PackedModel(packed), prompts, owners, list(range(9)), frozenset({2}), SamplingParams(12, temperature=0.9)
    )
    pairs: list[Pair] = [(prompts[owner], sample.token_ids) for owner, sample in zip(owners, samples, strict=True)]
    with torch.no_grad():
        expected = naive_logprobs(naive, pairs, 0.9)
    ours = torch.tensor([value for sample in samples for value in sample.logprobs], dtype=torch.float64)
    assert_same(ours, expected, 1e-6)  # the sampler's softmax is fp32
    assert all(token < VOCABULARY for sample in samples for token in sample.token_ids)
