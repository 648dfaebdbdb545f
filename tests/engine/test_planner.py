"""Predicted memory counts what is kept; sizes are chosen below a limit; what cannot fit is refused with a number."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny import ARCHITECTURES, tiny_model

from tuneward.config import LoraConfig
from tuneward.engine.attention import ATTENTION
from tuneward.engine.forward import PackedModel
from tuneward.engine.memory_plan import Budgets, Device, JobSize, activation_bytes_per_token, record_bytes
from tuneward.engine.planner import (
    LEAST_TOKENS,
    MOST_ROWS,
    RECORD_SHARE,
    USUAL_ROWS,
    USUAL_TOKENS,
    Job,
    choose_budgets,
    require_budgets,
)
from tuneward.engine.scorer import completion_logprobs
from tuneward.engine.shape import ModelShape, shape_of
from tuneward.errors import ConfigError, ModelError
from tuneward.models.load import add_adapter

WIDE = {"hidden_size": 96, "intermediate_size": 160, "num_attention_heads": 4, "head_dim": 24, "vocab_size": 512}
DENSE = sorted(set(ARCHITECTURES) - {"GptOss", "Qwen3Moe"})
SIZE = JobSize(8, 8, 100, 48, 64, 1, 120)
CPU = Device(on_gpu=False, process_bytes=400 << 20)
GPU = Device(on_gpu=True)
GIB = 2**30


def wide_model(name: str) -> torch.nn.Module:
    return add_adapter(tiny_model(name, attention=ATTENTION, **WIDE), LoraConfig(r=4), seed=0)


def meta_shape(config: object) -> ModelShape:
    """Nothing is allocated."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION)
        return shape_of(add_adapter(model, LoraConfig(), seed=0))


@pytest.fixture(scope="module")
def smollm() -> ModelShape:
    """The shape of SmolLM2-135M."""
    from transformers import LlamaConfig

    sizes = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "vocab_size": 49152}
    return meta_shape(LlamaConfig(**sizes, num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True))


@pytest.fixture(scope="module")
def qwen_7b() -> ModelShape:
    """The shape of Qwen2.5-7B."""
    from transformers import Qwen2Config

    sizes = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "vocab_size": 152064}
    return meta_shape(Qwen2Config(**sizes, num_attention_heads=28, num_key_value_heads=4, tie_word_embeddings=False))


def saved_bytes(model: torch.nn.Module, tokens: int) -> int:
    """Memory that one forward pass over `tokens` nodes keeps for its backward pass, parameters left out."""
    kept: dict[int, int] = {}
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if tensor.dtype.is_floating_point and storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    pair = (tuple(range(5, 4 + tokens)), (7, 8))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        completion_logprobs(PackedModel(model), [pair], 1.0).sum()
    return sum(kept.values())


@pytest.mark.parametrize("name", DENSE)
def test_activations_are_counted_as_autograd_keeps_them(name: str) -> None:
    model = wide_model(name)
    measured = (saved_bytes(model, 200) - saved_bytes(model, 100)) / 100
    assert activation_bytes_per_token(shape_of(model), 4) == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_weights_adapter_and_record_are_those_of_the_model(name: str) -> None:
    model = wide_model(name)
    shape = shape_of(model)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert shape.adapter == trained
    assert shape.weights == sum(parameter.numel() for parameter in model.parameters()) - trained
    packed = PackedModel(model, merge=True)
    assert shape.can_record is bool(packed.record_bytes_per_token)
    if not shape.can_record:  # peft adapts these experts as one tensor
        assert shape.stacked > 0
        return
    assert 4 * (shape.adapted_outputs + shape.vocabulary) == packed.record_bytes_per_token
    merged = [*packed._sampling._adapted, *packed._sampling._frozen]
    assert shape.linear == sum(layer.linear.weight.numel() for layer in merged)
    assert shape.frozen_linear == sum(layer.linear.weight.numel() for layer in packed._sampling._frozen)


def test_an_adapter_on_some_layers_keeps_the_inputs_of_those_alone() -> None:
    lora = LoraConfig(r=4, target_modules=("q_proj", "o_proj"))
    model = add_adapter(tiny_model(attention=ATTENTION, **WIDE), lora, seed=0)
    shape = shape_of(model)
    assert shape.distinct_adapted_inputs == shape.adapted_inputs == 2 * 2 * 96
    assert shape.frozen_linear == shape.linear - 2 * 2 * 96 * 96
    measured = (saved_bytes(model, 200) - saved_bytes(model, 100)) / 100
    assert activation_bytes_per_token(shape, 4) == pytest.approx(measured, rel=0.1)


positive = st.integers(1, 600)
sizes = st.builds(JobSize, positive, st.integers(2, 64), positive, positive, positive, st.integers(1, 8), positive)
budgets = st.builds(Budgets, st.integers(1, 4096), st.integers(0, 50_000), st.booleans(), st.integers(1, 512))


@settings(deadline=None, max_examples=60)
@given(size=sizes, chosen=budgets, more=positive, on_gpu=st.booleans(), beta=st.sampled_from([0.0, 0.1]))
def test_no_size_makes_the_peak_smaller_as_it_grows(
    smollm: ModelShape, size: JobSize, chosen: Budgets, more: int, on_gpu: bool, beta: float
) -> None:
    chosen = dataclasses.replace(chosen, merged=chosen.merged and not on_gpu)
    job = Job(smollm, size, GPU if on_gpu else CPU, beta=beta)
    peak = job.memory(chosen).peak_bytes
    # The samples of a group divide waves: a wave of fewer groups may be smaller as a whole.
    for field in ("prompts", "longest_prompt", "longest_completion", "evaluation_prompts", "longest_evaluation_prompt"):
        grown = dataclasses.replace(size, **{field: getattr(size, field) + more})
        assert dataclasses.replace(job, size=grown).memory(chosen).peak_bytes >= peak * 0.999, field
    for field in ("token_budget", "record_tokens", "max_rows"):
        wider = dataclasses.replace(chosen, **{field: getattr(chosen, field) + more})
        assert job.memory(wider).peak_bytes >= peak * 0.999, field


@settings(deadline=None, max_examples=60)
@given(size=sizes, limit=st.floats(0.5, 40), token_budget=st.none() | st.integers(1, 2048), on_gpu=st.booleans())
def test_what_is_chosen_stays_below_the_limit_and_keeps_what_the_user_set(
    smollm: ModelShape, size: JobSize, limit: float, token_budget: int | None, on_gpu: bool
) -> None:
    job = Job(smollm, size, GPU if on_gpu else CPU, token_budget=token_budget, can_merge=not on_gpu)
    count = int(limit * GIB)
    chosen = choose_budgets(job, count)
    if chosen is None:
        smallest = Budgets(token_budget or LEAST_TOKENS, 0, False, 1)
        assert job.memory(smallest).peak_bytes > count
        return
    assert job.memory(chosen).peak_bytes <= count
    assert token_budget in (None, chosen.token_budget)
    assert choose_budgets(job, count) == chosen


def test_memory_is_given_up_in_order_of_what_it_costs(smollm: ModelShape) -> None:
    job = Job(smollm, dataclasses.replace(SIZE, evaluation_prompts=400), CPU)
    seen = [choose_budgets(job, int(limit * GIB)) for limit in (64, 4, 2.6, 2.0, 1.9, 1.65, 1.5)]
    chosen = [budgets for budgets in seen if budgets is not None]
    assert chosen[0].record_tokens == SIZE.step_tokens
    assert chosen[0].token_budget == SIZE.group_tokens < USUAL_TOKENS or chosen[0].token_budget >= USUAL_TOKENS
    assert chosen[0].max_rows == MOST_ROWS
    records = [budgets.record_tokens for budgets in chosen]
    assert records == sorted(records, reverse=True)
    assert records[-1] == 0
    for budgets in chosen:
        if budgets.token_budget < USUAL_TOKENS:
            assert budgets.record_tokens == 0
        if not budgets.merged:
            assert budgets.record_tokens == 0
        if budgets.max_rows < USUAL_ROWS:
            assert not budgets.merged
    assert any(budgets.token_budget < USUAL_TOKENS and budgets.merged for budgets in chosen)
    assert any(not budgets.merged for budgets in chosen)


def test_the_record_takes_no_more_than_its_share(smollm: ModelShape) -> None:
    limit = 8 * GIB
    chosen = choose_budgets(Job(smollm, SIZE, CPU), limit)
    assert chosen is not None
    assert 0 < record_bytes(smollm, SIZE, chosen.record_tokens, 4) <= limit * RECORD_SHARE
    assert record_bytes(smollm, SIZE, chosen.record_tokens + 1, 4) > limit * RECORD_SHARE


def test_the_record_needs_merged_copies_and_the_users_consent(smollm: ModelShape) -> None:
    for job in (
        Job(smollm, SIZE, CPU, reuse_forward=False),
        Job(smollm, SIZE, CPU, samples_here=False),
        Job(dataclasses.replace(smollm, can_record=False), SIZE, CPU),
        Job(smollm, SIZE, GPU, can_merge=False),
    ):
        chosen = choose_budgets(job, 64 * GIB)
        assert chosen is not None
        assert chosen.record_tokens == 0


def test_a_7b_model_trains_on_a_24_gb_card(qwen_7b: ModelShape) -> None:
    job = Job(qwen_7b, JobSize(8, 8, 200, 128, 100, 1, 200), GPU, can_merge=False)
    card = int(0.9 * 24e9)
    chosen = choose_budgets(job, card)
    assert chosen is not None
    assert not chosen.merged
    plan = job.memory(chosen)
    assert plan.peak_bytes <= card
    assert plan.phases["update"]["weights"] == 2 * 7_615_616_512  # as its model card counts them, in bf16
    assert "process and libraries" not in plan.phases["update"]


def test_a_job_that_cannot_fit_is_refused_with_numbers_that_would(qwen_7b: ModelShape) -> None:
    size = JobSize(8, 8, 300, 400, 100, 1, 300)
    job, card = Job(qwen_7b, size, GPU, can_merge=False), int(0.9 * 24e9)
    with pytest.raises(ConfigError) as caught:
        require_budgets(job, card, model="Qwen2.5-7B", source="can be counted on here")
    message = str(caught.value)
    assert re.match(
        r"Qwen2\.5-7B needs at least 2\d\.\d GiB of memory for this job \(update\), but only 20\.1 GiB", message
    )
    found = re.search(r"training\.max_completion_tokens to at most (\d+)", message)
    assert found, message
    number = int(found[1])
    for length, fits in ((number, True), (number + 1, False)):
        changed = dataclasses.replace(job, size=dataclasses.replace(size, longest_completion=length))
        assert (choose_budgets(changed, card) is not None) is fits
    assert "samples_per_prompt" not in message  # fewer samples make no micro-batch smaller


def test_a_group_that_is_too_wide_to_sample_is_refused_with_the_samples_that_fit(smollm: ModelShape) -> None:
    size = JobSize(2, 256, 100, 200, 10, 1, 100)
    with pytest.raises(ConfigError, match=r"\(rollout\).*Set training\.samples_per_prompt to at most \d+, or training"):
        require_budgets(Job(smollm, size, CPU), int(2.2 * GIB), model="small", source="are allowed")


def test_a_users_token_budget_is_named_when_it_is_too_large(smollm: ModelShape) -> None:
    job = Job(smollm, SIZE, CPU, token_budget=4096)
    with pytest.raises(ConfigError, match=r"training\.token_budget to at most \d+"):
        require_budgets(job, 2 * GIB, model="small", source="are allowed by training.memory_gb")


def test_a_model_that_fits_with_no_number_is_refused_as_such(smollm: ModelShape) -> None:
    with pytest.raises(ModelError, match=r"whatever the lengths. Use a smaller model"):
        require_budgets(Job(smollm, SIZE, CPU), GIB // 2, model="small", source="can be counted on here")


def test_nothing_is_refused_where_the_memory_is_unknown(qwen_7b: ModelShape) -> None:
    size = JobSize(8, 64, 4000, 4000, 100, 1, 4000)
    chosen = require_budgets(Job(qwen_7b, size, CPU), None, model="large", source="")
    assert (chosen.token_budget, chosen.record_tokens, chosen.merged) == (LEAST_TOKENS, 0, False)


def test_expected_memory_follows_the_lengths_that_occurred(smollm: ModelShape) -> None:
    job = Job(smollm, SIZE, CPU)
    chosen = choose_budgets(job, 64 * GIB)
    assert chosen is not None
    longest = job.memory(chosen).peak_bytes
    assert job.memory_of(chosen, longest_completion=48, step_tokens=SIZE.step_tokens).peak_bytes == longest
    assert job.memory_of(chosen, longest_completion=10, step_tokens=1000).peak_bytes < 0.8 * longest
