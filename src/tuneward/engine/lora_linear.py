"""Linear layers in the form that trains fastest on a CPU: adapter and weight in one operation, or not at all.

Run as separate operations, the adapter's scaling and addition pass over the layer's whole output and its gradient
again and again; accumulated inside the thin products they cost nothing. And where the sampler has left a layer's
output, the product is not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tuneward.engine.merged import adapted_layers, can_pack, output_layer
from tuneward.engine.record import Replay


class TrainingLayers:
    """Makes every plain LoRA layer of a model run as one operation, and replay what was recorded.

    The layers compute what peft's do, with gradients for the adapter and the input only. Layers of other kinds,
    and any layer while its adapter is off or another one is active, run as peft has them. Nothing is done where
    oneDNN is missing.

    Args:
        model: a `peft.PeftModel`; of a bare model nothing is changed.
    """

    def __init__(self, model: Any):
        self._replay: Replay | None = None
        self._is_aside = False
        layers = adapted_layers(model) if can_pack() else []
        self.count = len(layers)
        """Layers that run as one operation."""
        for number, (adapter, linear) in enumerate(layers):
            adapter.forward = self._fused(number, adapter, linear, adapter.forward)
        head = output_layer(model) if self.count else None
        if head is not None:
            head.forward = self._head(head, head.forward)  # type: ignore[method-assign]

    @contextmanager
    def replaying(self, replay: Replay | None) -> Iterator[None]:
        """Inside the block, kept outputs stand in for products."""
        self._replay = replay
        try:
            yield
        finally:
            self._replay = None

    @contextmanager
    def stepping_aside(self) -> Iterator[None]:
        """Inside the block, every layer runs as peft has it."""
        self._is_aside = True
        try:
            yield
        finally:
            self._is_aside = False

    def _fused(
        self, number: int, adapter: Any, linear: nn.Linear, unfused: Callable[..., Tensor]
    ) -> Callable[..., Tensor]:
        down, up, scaling = (
            adapter.lora_A["default"].weight,
            adapter.lora_B["default"].weight,
            adapter.scaling["default"],
        )

        def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            is_ours = not adapter.disable_adapters and adapter.active_adapters == ["default"]
            if args or kwargs or self._is_aside or not is_ours or not torch.is_grad_enabled():
                return unfused(x, *args, **kwargs)
            out: Tensor = _LoraLinear.apply(  # type: ignore[no-untyped-call]
                x, linear.weight, linear.bias, down, up, scaling, self._replay, number
            )
            return out

        return forward

    def _head(self, head: nn.Linear, computed: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def forward(x: Tensor) -> Tensor:
            kept = self._replay.logits() if self._replay is not None and torch.is_grad_enabled() else None
            if kept is None:
                return computed(x)
            out: Tensor = _KeptLinear.apply(x, head.weight, kept)  # type: ignore[no-untyped-call]
            return out

        return forward


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


class _LoraLinear(torch.autograd.Function):
    """y = x Wᵀ + b + scaling · (x Aᵀ) Bᵀ with W and b frozen; y is taken from `replay` where it is kept there."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        down: Tensor,
        up: Tensor,
        scaling: float,
        replay: Replay | None,
        number: int,
    ) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        inner = flat @ down.t()
        out = replay.output(number) if replay is not None else None
        if out is None:
            out = _product(flat, weight, bias).addmm_(inner, up.t(), alpha=scaling)
        elif replay is not None and replay.missing is not None:
            rows = replay.missing
            out[rows] = _product(flat[rows], weight, bias).addmm_(inner[rows], up.t(), alpha=scaling)
        ctx.save_for_backward(flat, inner, weight, down, up)
        ctx.scaling = scaling
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        flat, inner, weight, down, up = ctx.saved_tensors
        flat_grad = grad.reshape(-1, grad.shape[-1])
        inner_grad = (flat_grad @ up).mul_(ctx.scaling)
        grad_up = (flat_grad.t() @ inner).mul_(ctx.scaling)
        grad_down = inner_grad.t() @ flat
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = _product(flat_grad, weight.t(), None).addmm_(inner_grad, down).view(*grad.shape[:-1], -1)
        return grad_x, None, None, grad_down, grad_up, None, None, None


class _KeptLinear(torch.autograd.Function):
    """y = x Wᵀ + b with W and b frozen and y known."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, kept: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return kept.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        return _product(grad, weight.t(), None), None, None
