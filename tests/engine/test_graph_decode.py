"""Decoding in static shapes, and replaying captured steps, gives the samples of `DecodePlan`.

A graph is emulated on the CPU by what makes one dangerous: a tape of the operations with the very tensors they ran on,
replayed without any of the Python that made it. A number of the step that was baked in, or a tensor that was
replaced instead of overwritten, shows as a wrong log-prob.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.engine.test_equivalence import twin_models
from tests.tiny import ARCHITECTURES, VOCABULARY
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tuneward.engine import graph_decode, sampler, static_plan
from tuneward.engine.decode_plan import DecodePlan
from tuneward.engine.forward import PackedModel
from tuneward.engine.graph_decode import GraphDecodePlan, HostWatch, decode_plan
from tuneward.engine.sampler import SampledTokens, SamplingParams, sample_tokens
from tuneward.engine.static_plan import StaticDecodePlan, StepShape
from tuneward.types import FinishReason

PROMPTS = [(5, 9, 3, 17, 4, 8, 11), (5, 9, 6), (40,), tuple(range(3, 20))]
OWNERS = [0] * 8 + [1] * 3 + [2] + [3] * 5
PYTHON_LOOPS = {"GptOss", "Qwen3Moe"}
"""With eager experts, which ask the device which experts were hit."""


class Tape(TorchDispatchMode):
    """The operations of a step, and a way to run them again on the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        for func, args, kwargs, out in self.calls:
            for before, again in zip(tree_leaves(out), tree_leaves(func(*args, **kwargs)), strict=True):
                if again.data_ptr() != before.data_ptr():
                    before.copy_(again)


class TapedPlan(GraphDecodePlan):
    """`GraphDecodePlan` with a tape in the place of the CUDA graph."""

    made: list[TapedPlan]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.captured: list[StepShape] = []
        self.stepped: list[StepShape] = []
        self.replays = 0
        self.made.append(self)

    def _step(self, model: PackedModel) -> Tensor:
        self.stepped.append(self.shape)
        return super()._step(model)

    def _capture(self, model: PackedModel, out: Tensor) -> Callable[[], None]:
        self.captured.append(self.shape)
        before = [store.clone() for stores in self._own.values() for store in stores]
        with Tape() as tape:
            out.copy_(self._forward(model))
        # Capturing runs nothing: what the step wrote while being taped must come from the replay.
        for store, value in zip((s for stores in self._own.values() for s in stores), before, strict=True):
            store.copy_(value)
        out.fill_(torch.nan)

        def replay() -> None:
            self.replays += 1
            tape.replay()

        return replay


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sizes to round up to that short samples of a few rows pass through."""
    monkeypatch.setattr(static_plan, "LEAST_ROWS", 2)
    monkeypatch.setattr(static_plan, "ROW_BLOCK", 8)
    monkeypatch.setattr(static_plan, "LEAST_TOKENS", 4)
    TapedPlan.made = []
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sample(model: PackedModel, kind: Any, monkeypatch: pytest.MonkeyPatch) -> list[SampledTokens]:
    """Cold enough for samples to share beginnings; groups and rows end at different times."""
    monkeypatch.setattr(sampler, "decode_plan", kind)
    return sample_tokens(
        model,
        PROMPTS,
        OWNERS,
        list(range(len(OWNERS))),
        frozenset(range(10)),
        SamplingParams(14, temperature=0.4),
    )


def assert_same_samples(ours: list[SampledTokens], theirs: list[SampledTokens]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.token_ids, mine.finish_reason) == (other.token_ids, other.finish_reason)
        assert mine.logprobs == pytest.approx(other.logprobs, abs=2e-6)
        assert mine.entropies == pytest.approx(other.entropies, abs=2e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_static_shapes_give_the_samples_of_the_usual_plan(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = PackedModel(twin_models(name, torch.float64)[0])
    expected = sample(model, DecodePlan, monkeypatch)
    assert {one.finish_reason for one in expected} == {FinishReason.STOP, FinishReason.LENGTH}
    assert_same_samples(sample(model, StaticDecodePlan, monkeypatch), expected)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in PYTHON_LOOPS])
def test_replayed_steps_give_the_samples_of_the_usual_plan(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = PackedModel(twin_models(name, torch.float64)[0])
    expected = sample(model, DecodePlan, monkeypatch)
    assert_same_samples(sample(model, TapedPlan, monkeypatch), expected)
    (plan,) = TapedPlan.made
    times = Counter(plan.stepped)
    assert Counter(plan.captured) == Counter({shape: 1 for shape, count in times.items() if count > 1})
    assert plan.replays == sum(count - 1 for count in times.values()) > len(plan.captured)


@pytest.mark.parametrize("name", sorted(PYTHON_LOOPS))
def test_a_model_that_asks_the_device_is_never_captured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = PackedModel(twin_models(name, torch.float64)[0])
    expected = sample(model, DecodePlan, monkeypatch)
    assert_same_samples(sample(model, TapedPlan, monkeypatch), expected)
    assert TapedPlan.made[0].captured == []


def random_prefill(groups: int = 5) -> tuple[dict[int, tuple[Tensor, Tensor]], list[Tensor]]:
    stream = torch.Generator().manual_seed(0)
    nodes = 4 * groups
    keep = {0: (torch.randn(2, nodes, 8, generator=stream), torch.randn(2, nodes, 8, generator=stream))}
    return keep, [torch.arange(4 * group, 4 * group + 1 + group % 4) for group in range(groups)]


def test_shapes_are_few_and_never_smaller_than_needed_nor_larger_than_the_memory() -> None:
    seen = set()
    for capacity in (5, 40):
        for rows in range(5, capacity + 1):
            keep, paths = random_prefill()
            plan = StaticDecodePlan(keep, paths, capacity=capacity, max_tokens=11)
            plan.arrange(torch.arange(rows) % 5)
            for token in range(11):
                shape = plan.shape
                seen.add(shape)
                assert rows <= shape.rows <= min(2 * rows, capacity)
                assert shape.seats * 5 >= rows
                assert token + 1 <= shape.tokens <= 11
                plan.advance()
    assert len({shape.rows for shape in seen if shape.rows > 5}) == 5  # 8, 16, 24, 32, 40
    assert {shape.tokens for shape in seen} == {4, 8, 11}


def test_prompts_of_finished_groups_are_not_computed_once_half_are_gone() -> None:
    keep, paths = random_prefill(groups=8)
    keys = keep[0][0].clone()
    plan = StaticDecodePlan(keep, paths, capacity=8, max_tokens=4)
    plan.arrange(torch.tensor([1, 2, 4, 5, 7]))
    assert plan.shape.groups == 8
    plan.arrange(torch.tensor([1, 3, 4]))  # of those five
    assert plan.shape.groups == 3
    for slot, group in enumerate((2, 5, 7)):
        path = paths[group]
        torch.testing.assert_close(plan._prompt[0][0][slot, :, : len(path)], keys[:, path])
    assert plan._length_of_row[:3].tolist() == [len(paths[group]) for group in (2, 5, 7)]


def test_addresses_stay_whatever_happens_to_rows_and_groups() -> None:
    keep, paths = random_prefill()
    plan = StaticDecodePlan(keep, paths, capacity=9, max_tokens=4)
    tensors = [plan._used, plan._fed, plan._length_of_row, plan._seat_of_row, plan._row_of_seat]
    tensors += [store for stores in (*plan._prompt.values(), *plan._own.values()) for store in stores]
    before = [tensor.data_ptr() for tensor in tensors]
    plan.arrange(torch.tensor([0, 1, 2, 3, 4, 0, 0, 1]))
    plan.advance()
    plan.move(torch.tensor([0]), torch.tensor([5]))
    plan.arrange(torch.tensor([3, 3, 1]))
    after = [plan._used, plan._fed, plan._length_of_row, plan._seat_of_row, plan._row_of_seat]
    after += [store for stores in (*plan._prompt.values(), *plan._own.values()) for store in stores]
    assert [tensor.data_ptr() for tensor in after] == before


def asks(work: Callable[[Tensor], object]) -> bool:
    with torch.inference_mode():
        x = torch.arange(4.0)
        with HostWatch() as watch:
            work(x)
    return bool(watch.found)


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x[1].item(),
        lambda x: bool(x[1] > 0),
        lambda x: x.nonzero(),
        lambda x: x[x > 1],
        lambda x: torch.unique(x),
        lambda x: x.to("meta"),
        lambda x: torch.equal(x, x),
        lambda x: torch.empty(4, device="meta").copy_(x),
    ],
)
def test_what_a_graph_cannot_contain_is_noticed(work: Callable[[Tensor], object]) -> None:
    assert asks(work)


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x[torch.tensor([1, 2])] @ x[:2],
        lambda x: x.to(torch.bfloat16).softmax(-1).float(),
        lambda x: torch.zeros(4).masked_fill_(x > 1, -torch.inf),
        lambda x: torch.nn.functional.linear(x, torch.ones(3, 4)),
    ],
)
def test_work_that_stays_on_the_device_is_not(work: Callable[[Tensor], object]) -> None:
    assert not asks(work)


def test_a_gpu_replays_and_a_cpu_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    keep, paths = random_prefill()
    assert isinstance(decode_plan(keep, paths, capacity=5, max_tokens=2), DecodePlan)
    made = []
    monkeypatch.setattr(graph_decode, "GraphDecodePlan", lambda *_, **settings: made.append(settings))
    on_gpu: Any = SimpleNamespace(device=torch.device("cuda"))
    decode_plan(keep, [on_gpu], capacity=5, max_tokens=2)
    assert made == [{"capacity": 5, "max_tokens": 2}]


def test_logits_are_those_of_the_live_rows_alone() -> None:
    model = PackedModel(twin_models("Llama", torch.float32)[0])
    keep, paths = random_prefill()
    stores = {layer: tuple(store.clone() for store in keep[0]) for layer in range(2)}
    with torch.inference_mode():
        plan = StaticDecodePlan(stores, paths, capacity=40, max_tokens=2)
        assert plan.logits(model, np.arange(3, 8)).shape == (5, VOCABULARY)


def test_a_number_on_the_host_beside_a_tensor_on_the_device_is_no_transfer() -> None:
    with HostWatch() as watch:
        torch.empty(4, device="meta") * torch.tensor(2.0)
    assert watch.found == []
