"""Fused adapter layers compute what peft's do."""

from __future__ import annotations

import pytest
import torch
from tests.tiny import tiny_model

from tuneward.config import LoraConfig
from tuneward.engine.attention import ATTENTION
from tuneward.engine.forward import PackedModel
from tuneward.engine.lora_linear import TrainingLayers
from tuneward.engine.scorer import completion_logprobs
from tuneward.models.load import add_adapter, trainable_parameters

PAIRS = [((5, 9, 3), (7, 8, 2)), ((5, 9, 3), (7, 20, 31, 2)), ((4,), (6, 2))]


def adapted(name: str, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    model = add_adapter(tiny_model(name, attention=ATTENTION, dtype=dtype), LoraConfig(r=4), seed=0)
    torch.manual_seed(1)
    for parameter in trainable_parameters(model):
        parameter.data = torch.randn_like(parameter) * 0.2
    return model


@pytest.mark.parametrize("name", ["Llama", "Qwen2", "Gemma3", "Phi3"])
def test_logprobs_and_gradients_are_those_of_peft(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for is_fused in (False, True):
        monkeypatch.setattr("tuneward.engine.lora_linear.can_pack", lambda is_fused=is_fused: is_fused)
        model = adapted(name)
        packed = PackedModel(model)
        assert bool(packed.record_bytes_per_token) is is_fused
        logp = completion_logprobs(packed, PAIRS, 0.8)
        (logp * torch.linspace(-1, 1, len(logp))).sum().backward()
        results.append((logp.detach(), [p.grad for p in trainable_parameters(model)]))
    torch.testing.assert_close(results[1][0], results[0][0], rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(results[1][1], results[0][1], strict=True):
        assert float((ours - theirs).norm()) <= 2e-5 * float(theirs.norm())


def test_a_fused_layer_steps_aside_while_its_adapter_is_off_or_another_is_active() -> None:
    model, base = adapted("Llama"), tiny_model("Llama", attention=ATTENTION)
    packed = PackedModel(model)
    expected = completion_logprobs(PackedModel(base), PAIRS, 1.0)
    with model.disable_adapter():
        torch.testing.assert_close(completion_logprobs(packed, PAIRS, 1.0), expected)
    model.add_adapter("other", model.peft_config["default"])  # fresh: its B is 0, so it is the base model
    model.set_adapter("other")
    torch.testing.assert_close(completion_logprobs(packed, PAIRS, 1.0), expected)


def test_layers_that_are_not_plain_are_left_alone() -> None:
    assert TrainingLayers(adapted("Llama", torch.bfloat16)).count == 0
