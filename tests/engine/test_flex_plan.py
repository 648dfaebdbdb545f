"""The fused plan of a GPU computes what `TreePlan` computes. Here it runs uncompiled, on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tests.engine.test_equivalence import SHAPES, assert_same, twin_models
from tests.tiny import ARCHITECTURES
from torch import Tensor
from torch.nn.attention import flex_attention as library

from tuneward.engine import flex_plan, sampler, scorer
from tuneward.engine.attention import LayerScores
from tuneward.engine.flex_plan import FlexTreePlan, tree_attention, visible_blocks
from tuneward.engine.forward import PackedModel
from tuneward.engine.sampler import SamplingParams, sample_tokens
from tuneward.engine.scorer import completion_logprobs
from tuneward.engine.tree import TokenTree, build_tree
from tuneward.engine.tree_plan import TreePlan

CPU = torch.device("cpu")
HEADS, KEY_HEADS, SIZE, VALUE_SIZE = 4, 2, 8, 6


@pytest.fixture(autouse=True)
def as_written(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """FlexAttention in plain operations, not traced first: tracing takes longer than computing."""
    monkeypatch.setattr(library, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def bushy_tree(groups: int = 3, prompt: int = 150, completion: int = 70) -> TokenTree:
    """Some blocks of 128 nodes: prompts longer than one, completions shorter, branches within completions."""
    stream = np.random.default_rng(0)
    sequences = []
    for _ in range(groups):
        start = stream.integers(0, 50, prompt).tolist()
        shared = stream.integers(0, 50, completion // 2).tolist()
        for _ in range(3):
            sequences.append([*start, *stream.integers(0, 50, completion).tolist()])
            sequences.append([*start, *shared, *stream.integers(0, 50, completion // 2).tolist()])
    return build_tree(sequences)


def visible_pairs(tree: TokenTree, window: int | None) -> np.ndarray:
    """[n, n] who sees whom, from the paths of the sequences alone."""
    visible = np.zeros((len(tree), len(tree)), dtype=bool)
    for path in tree.paths:
        for place, node in enumerate(path):
            visible[node, path[0 if window is None else max(0, place + 1 - window) : place + 1]] = True
    return visible


def inputs(n: int) -> list[Tensor]:
    stream = torch.Generator().manual_seed(1)
    shapes = [(HEADS, n, SIZE), (KEY_HEADS, n, SIZE), (KEY_HEADS, n, VALUE_SIZE)]
    return [torch.randn(shape, generator=stream, dtype=torch.float64).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("window", [None, 5, 140, 300])
@pytest.mark.parametrize("tree", [bushy_tree(), build_tree([range(256)]), build_tree([(1, 2), (1, 3)])])
def test_blocks_taken_as_unseen_have_no_visible_pair_and_full_ones_no_hidden_pair(
    tree: TokenTree, window: int | None
) -> None:
    partial, full = visible_blocks(tree, window)
    pairs = visible_pairs(tree, window)
    assert not (partial & full).any()
    for i in range(len(partial)):
        for j in range(len(partial)):
            block = pairs[i * 128 : (i + 1) * 128, j * 128 : (j + 1) * 128]
            assert block.any() <= (partial[i, j] or full[i, j])
            assert not full[i, j] or block.all()


def test_without_a_window_no_block_is_visited_in_vain_and_prompts_need_no_mask() -> None:
    tree = bushy_tree(prompt=500)
    partial, full = visible_blocks(tree, None)
    pairs = visible_pairs(tree, None)
    size = len(partial)
    seen = [[pairs[i * 128 :, j * 128 : (j + 1) * 128][:128].any() for j in range(size)] for i in range(size)]
    assert np.array_equal(partial | full, seen)
    assert full.sum() > 9
    assert (partial | full).sum() < 0.4 * size * size


@pytest.mark.parametrize("has_sinks", [False, True])
@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("window", [None, 40, 200])
def test_values_and_gradients_are_those_of_the_tree_plan(
    window: int | None, softcap: float | None, has_sinks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # FlexAttention refuses gradients on a CPU, for want of a kernel; its uncompiled form has them.
    monkeypatch.setattr(library, "_validate_device", lambda *_: None)
    tree = bushy_tree(groups=2)
    tensors = inputs(len(tree))
    sinks = torch.linspace(-1, 1, HEADS, dtype=torch.float64).requires_grad_() if has_sinks else None
    scores = LayerScores(0.4, window, softcap, sinks)
    weight = torch.randn(len(tree), HEADS, VALUE_SIZE, dtype=torch.float64)
    wanted = [*tensors, sinks] if sinks is not None else tensors

    ours = FlexTreePlan(tree, CPU).attend(0, *tensors, scores)
    expected = TreePlan(tree, CPU).attend(0, *tensors, scores)

    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    gradients = torch.autograd.grad((ours * weight).sum(), wanted)
    for mine, other in zip(gradients, torch.autograd.grad((expected * weight).sum(), wanted), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_has_the_same_logprobs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, pairs = PackedModel(twin_models(name, torch.float64)[0]), SHAPES["shared beginnings"]
    with torch.no_grad():
        expected = completion_logprobs(model, pairs, 0.7)
        monkeypatch.setattr(scorer, "tree_attention", FlexTreePlan)
        assert_same(completion_logprobs(model, pairs, 0.7), expected, 1e-6)  # norms of the library are fp32


def test_a_prefill_leaves_its_keys_and_values_to_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    model = PackedModel(twin_models("Qwen3", torch.float64)[0])

    def samples() -> tuple[list[list[int]], list[float]]:
        drawn = sample_tokens(
            model, [(5, 9, 3), tuple(range(3, 30))], [0, 0, 1, 1], [1, 2, 3, 4], frozenset(), SamplingParams(6)
        )
        return [one.token_ids for one in drawn], [value for one in drawn for value in one.logprobs]

    expected = samples()
    used = []

    def fused(*arguments: Any) -> FlexTreePlan:
        used.append(FlexTreePlan(*arguments))
        return used[-1]

    monkeypatch.setattr(sampler, "tree_attention", fused)
    tokens, logprobs = samples()
    assert (tokens, logprobs) == (expected[0], pytest.approx(expected[1], abs=1e-5))
    assert len(used) == 1


def test_one_mask_serves_all_layers_of_a_window() -> None:
    plan = FlexTreePlan(bushy_tree(), CPU)
    assert plan.mask(7) is plan.mask(7)
    assert plan.mask(7) is not plan.mask(None)


def test_half_precision_stays_half_precision_with_sinks() -> None:
    tree = bushy_tree(groups=1)
    q, k, v = (tensor.detach().bfloat16() for tensor in inputs(len(tree)))
    sinks = torch.linspace(-1, 1, HEADS, dtype=torch.bfloat16)
    ours = FlexTreePlan(tree, CPU).attend(0, q, k, v, LayerScores(0.4, sinks=sinks))
    assert ours.dtype == torch.bfloat16
    expected = TreePlan(tree, CPU).attend(0, q, k, v, LayerScores(0.4, sinks=sinks))
    torch.testing.assert_close(ours, expected, rtol=2e-2, atol=2e-2)


def test_new_lengths_and_windows_are_not_compiled_again() -> None:
    graphs: list[torch.fx.GraphModule] = []

    def count(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(library.flex_attention, backend=count)
    for groups in (2, 3, 4):
        tree = bushy_tree(groups, prompt=40, completion=30)
        q, k, v = (tensor.detach() for tensor in inputs(len(tree)))
        for window in (None, 30):
            plan = FlexTreePlan(tree, CPU)
            plan._attention = compiled
            plan.attend(0, q, k, v, LayerScores(0.4, window))
    assert len(graphs) == 2, "one for the first length, one for all"


def test_a_gpu_takes_the_fused_plan_and_a_cpu_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    tree, keep = build_tree([(1, 2)]), {}
    assert isinstance(tree_attention(tree, CPU, keep), TreePlan)
    made = []
    monkeypatch.setattr(flex_plan, "FlexTreePlan", lambda *arguments: made.append(arguments))
    tree_attention(tree, torch.device("cuda"), keep)
    assert made == [(tree, torch.device("cuda"), keep)]
