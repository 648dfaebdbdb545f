"""Sampling from merged copies changes neither the policy nor the base weights."""

from __future__ import annotations

import pytest
import torch
from tests.tiny import tiny_model

from tuneward.config import LoraConfig
from tuneward.engine.attention import ATTENTION
from tuneward.engine.forward import PackedModel
from tuneward.engine.scorer import completion_logprobs
from tuneward.models.load import add_adapter, trainable_parameters

PAIRS = [((5, 9, 3), (7, 8, 2)), ((5, 9, 3), (7, 20, 31, 2))]


@pytest.fixture
def adapted() -> torch.nn.Module:
    """A model whose adapter is far from zero."""
    model = add_adapter(tiny_model(attention=ATTENTION), LoraConfig(r=4), seed=0)
    torch.manual_seed(1)
    for parameter in trainable_parameters(model):
        parameter.data = torch.randn_like(parameter) * 0.2
    return model


def test_merged_logprobs_are_those_of_the_adapter(adapted: torch.nn.Module) -> None:
    packed = PackedModel(adapted)
    with torch.no_grad():
        unmerged = completion_logprobs(packed, PAIRS, 1.0)
        with packed.merged():
            merged = completion_logprobs(packed, PAIRS, 1.0)
        with adapted.disable_adapter():
            base = completion_logprobs(packed, PAIRS, 1.0)
    torch.testing.assert_close(merged, unmerged, rtol=1e-5, atol=1e-5)
    assert float((merged - base).abs().max()) > 0.1


def test_a_thousand_merges_leave_base_weights_bit_for_bit_and_the_policy_where_it_was(adapted: torch.nn.Module) -> None:
    packed = PackedModel(adapted)
    frozen = {name: p.clone() for name, p in adapted.named_parameters() if not p.requires_grad}
    with torch.no_grad():
        before = completion_logprobs(packed, PAIRS, 1.0)
        for _ in range(1000):
            with packed.merged():
                pass
        after = completion_logprobs(packed, PAIRS, 1.0)
    assert torch.equal(before, after)
    assert all(torch.equal(p, frozen[name]) for name, p in adapted.named_parameters() if not p.requires_grad)


def test_merging_follows_the_adapter_as_it_changes(adapted: torch.nn.Module) -> None:
    packed = PackedModel(adapted)
    with torch.no_grad():
        with packed.merged():
            first = completion_logprobs(packed, PAIRS, 1.0)
        for parameter in trainable_parameters(adapted):
            parameter.mul_(0.5)
        with packed.merged():
            second = completion_logprobs(packed, PAIRS, 1.0)
        torch.testing.assert_close(second, completion_logprobs(packed, PAIRS, 1.0), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(first, second)


def layer_of(model: torch.nn.Module) -> torch.nn.Module:
    return next(m for name, m in model.named_modules() if name.endswith("q_proj"))


def test_half_precision_is_never_merged() -> None:
    model = add_adapter(tiny_model(attention=ATTENTION, dtype=torch.bfloat16), LoraConfig(r=4), seed=0)
    packed = PackedModel(model)
    usual = layer_of(model).forward

    with packed.merged():
        assert layer_of(model).forward == usual


def test_an_error_while_merged_puts_the_layers_back(adapted: torch.nn.Module) -> None:
    packed = PackedModel(adapted)
    usual = layer_of(adapted).forward

    def fail() -> None:
        with packed.merged():
            assert layer_of(adapted).forward != usual
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert layer_of(adapted).forward == usual


def test_a_machine_without_room_samples_from_the_weights_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneward.engine.merged.available_memory_bytes", lambda: 1000)
    model = add_adapter(tiny_model(attention=ATTENTION), LoraConfig(r=4), seed=0)
    packed = PackedModel(model)
    usual = layer_of(model).forward

    with packed.merged():
        assert layer_of(model).forward == usual


@pytest.mark.parametrize("name", ["Llama", "Qwen2", "Gemma3", "GptOss", "Qwen3Moe"])
def test_repacked_weights_give_the_same_logprobs_on_every_kind_of_model(name: str) -> None:
    model = add_adapter(tiny_model(name, attention=ATTENTION), LoraConfig(r=4), seed=0)
    packed = PackedModel(model)
    with torch.no_grad():
        plain = completion_logprobs(packed, PAIRS, 1.0)
        with packed.merged():
            repacked = completion_logprobs(packed, PAIRS, 1.0)
    torch.testing.assert_close(repacked, plain, rtol=1e-4, atol=1e-4)
