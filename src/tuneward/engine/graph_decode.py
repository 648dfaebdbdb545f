"""Decode steps without the cost of launching them: on CUDA a step is captured as a graph and replayed.

Launching the kernels of one step from Python takes longer than running them, several times so for a small model. A
shape that comes a second time is captured. Its first time warms up what the libraries set up lazily, and the
short-lived shapes of the beginning, where rows split at every step, are never captured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tuneward.engine.decode_plan import DecodePlan
from tuneward.engine.forward import PackedModel
from tuneward.engine.static_plan import StaticDecodePlan, StepShape

AnyDecodePlan = DecodePlan | StaticDecodePlan


def decode_plan(
    prompts: dict[int, tuple[Tensor, Tensor]], paths: list[Tensor], *, capacity: int, max_tokens: int
) -> AnyDecodePlan:
    """The plan that decodes fastest on the device where the prompts are; see `DecodePlan`."""
    kind = GraphDecodePlan if paths[0].device.type == "cuda" else DecodePlan
    return kind(prompts, paths, capacity=capacity, max_tokens=max_tokens)


def decode_logits(model: PackedModel, plan: AnyDecodePlan, tokens: NDArray[np.int64]) -> Tensor:
    """[rows, vocabulary] logits after feeding each of the plan's rows a token [rows]; valid until the next call."""
    if isinstance(plan, StaticDecodePlan):
        return plan.logits(model, tokens)
    rows = torch.arange(len(tokens), device=model.device)
    return model.logits(tokens, plan.positions().cpu().numpy(), plan, rows)


class GraphDecodePlan(StaticDecodePlan):
    """A static plan that replays steps of known shapes as CUDA graphs.

    A model whose step asks something back from the device (experts chosen in a Python loop, rotary embeddings
    that depend on the length) cannot be captured; it is recognised in its first step and runs uncaptured.
    """

    _replays: dict[StepShape, Callable[[], None]]

    def __init__(
        self, prompts: dict[int, tuple[Tensor, Tensor]], paths: list[Tensor], *, capacity: int, max_tokens: int
    ):
        super().__init__(prompts, paths, capacity=capacity, max_tokens=max_tokens)
        self._replays = {}
        self._met: set[StepShape] = set()
        self._can_capture = True
        self._memory: Any = None
        self._logits: Tensor | None = None

    def _step(self, model: PackedModel) -> Tensor:
        shape = self.shape
        if self._logits is None:
            with HostWatch() as watch:
                out = self._forward(model)
            self._can_capture = not watch.found
            self._logits = out.new_empty(self._capacity, out.shape[-1])
            self._met.add(shape)
            return out
        if not self._can_capture or shape not in self._met:
            self._met.add(shape)
            return self._forward(model)
        if shape not in self._replays:
            self._replays[shape] = self._capture(model, self._logits[: shape.rows])
        self._replays[shape]()
        return self._logits[: shape.rows]

    def _capture(self, model: PackedModel, out: Tensor) -> Callable[[], None]:
        """The step as one launch that writes its logits to `out`."""
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the device meanwhile. All graphs share their memory: what outlives a replay is `out`.
        with torch.cuda.graph(graph, pool=self._memory, capture_error_mode="thread_local"):
            out.copy_(self._forward(model))
        self._memory = graph.pool()
        return graph.replay


class HostWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes operations that need the host to wait for the device, which a graph cannot contain."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []
        """Names of the operations."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        with self:  # an operation made of others is judged by them
            out = func.decompose(*args, **(kwargs or {}))
        if out is NotImplemented:
            out = func(*args, **(kwargs or {}))
            if _needs_host(func, args, out):
                self.found.append(str(func))
        return out


def _needs_host(func: Any, args: Any, out: Any) -> bool:
    if func is torch.ops.aten.index.Tensor:  # only where the index is a mask does the size depend on data
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    if torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags:
        return True
    devices = [value.device for value in tree_leaves(args) if isinstance(value, Tensor)]
    if func is torch.ops.aten.copy_.default:
        return len(set(devices)) > 1
    # A single number on the host is no transfer, as long as the operation has a tensor on the device.
    return bool(devices) and isinstance(out, Tensor) and out.device not in devices
