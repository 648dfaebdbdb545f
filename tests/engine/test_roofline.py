"""The bound counts distinct tokens once, and reading the weights when tokens are few."""

from __future__ import annotations

import pytest
import torch
from tests.tiny import tiny_model

from tuneward.config import LoraConfig
from tuneward.engine.roofline import MachineRates, Roofline, measure_rates, roofline_of
from tuneward.models.load import add_adapter

FAST_MEMORY = Roofline(MachineRates(flops=1000.0, bytes_per_second=1e9), body=10, head=5, bytes_per_parameter=4)


def test_sampling_counts_shared_prompts_and_shared_beginnings_once() -> None:
    # Prompt 3 tokens; fed: 7, 8 once each although two samples share 7; the last token of each is never fed.
    seconds = FAST_MEMORY.rollout_seconds([((1, 2, 3), [(7, 8, 9), (7, 4)])])
    assert seconds == pytest.approx((2 * (3 * 10 + 5) + 2 * 2 * (10 + 5)) / 1000)


def test_a_pass_over_few_rows_takes_as_long_as_reading_the_weights() -> None:
    slow_memory = Roofline(MachineRates(1000.0, bytes_per_second=60.0), body=10, head=5, bytes_per_parameter=4)
    # Two passes, 60 bytes each at 60 bytes/s; their arithmetic would take 0.03 s.
    assert slow_memory.rollout_seconds([((1,), [(7, 8, 9)])]) == pytest.approx(2 * (10 + 5) / 1000 + 2.0)


def test_single_token_completions_need_the_prefill_alone() -> None:
    assert FAST_MEMORY.rollout_seconds([((1, 2), [(7,), (8,)])]) == pytest.approx(2 * (2 * 10 + 5) / 1000)


def test_an_update_trains_distinct_tokens_and_predicts_only_where_completions_are() -> None:
    # Nodes 1 2 3 7 8; logits at 3, 7 and 8.
    assert FAST_MEMORY.update_seconds([((1, 2, 3), (7, 8, 9)), ((1, 2, 3), (7, 4))]) == pytest.approx(
        4 * (5 * 10 + 3 * 5) / 1000
    )
    assert FAST_MEMORY.update_seconds([]) == 0


def test_a_models_parameters_are_those_each_token_is_multiplied_with() -> None:
    model = tiny_model("Llama", attention="eager")
    matrices = sum(module.weight.numel() for module in model.modules() if isinstance(module, torch.nn.Linear))
    head = model.get_output_embeddings().weight.numel()
    for either in (model, add_adapter(tiny_model("Llama", attention="eager"), LoraConfig(r=4), seed=0)):
        roofline = roofline_of(either)
        assert (roofline.body, roofline.head, roofline.bytes_per_parameter) == (matrices - head, head, 4)


def test_of_experts_only_the_active_ones_count() -> None:
    model = tiny_model("Qwen3Moe", attention="eager")
    config = model.config
    experts = sum(parameter.numel() for name, parameter in model.named_parameters() if ".experts." in name)
    rest = roofline_of(model).body - experts * config.num_experts_per_tok / config.num_experts
    assert experts > 0
    assert 0 < rest < experts


def test_rates_are_those_of_a_computer_and_cost_no_random_numbers() -> None:
    before = torch.get_rng_state()
    rates = measure_rates(torch.device("cpu"), torch.float32)
    assert 1e9 < rates.flops < 1e15
    assert 1e8 < rates.bytes_per_second < 1e13
    assert torch.equal(torch.get_rng_state(), before)
