"""A linear layer with its adapter as one operation, for training on a CPU.

Run as separate operations, the adapter's scaling and addition pass over the layer's whole output and its gradient
again and again; accumulated inside the thin products they cost nothing. The wide products go through oneDNN, which
needs the weight's transpose for the backward pass; it is frozen, so one copy serves the whole run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tuneward.engine.merged import adapted_layers, can_pack, has_room


def fuse_adapters(model: Any) -> int:
    """Let every plain LoRA layer of a model run fused; returns how many do.

    The layers compute what peft's do, with gradients for the adapter and the input only. Layers of other kinds,
    and any layer while its adapter is off or another one is active, run as peft has them. Nothing is done where
    oneDNN or the memory for the transposed weights is missing.

    Args:
        model: a `peft.PeftModel` in training.
    """
    layers = adapted_layers(model)
    if not can_pack() or not has_room([linear for _, linear in layers]):
        return 0
    for adapter, linear in layers:
        adapter.forward = _fused(adapter, linear, adapter.forward)
    return len(layers)


def _fused(adapter: Any, linear: nn.Linear, unfused: Callable[..., Tensor]) -> Callable[..., Tensor]:
    transposed = linear.weight.detach().t().contiguous()
    down, up, scaling = adapter.lora_A["default"].weight, adapter.lora_B["default"].weight, adapter.scaling["default"]

    def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        is_ours = not adapter.disable_adapters and adapter.active_adapters == ["default"] and torch.is_grad_enabled()
        if args or kwargs or not is_ours:
            return unfused(x, *args, **kwargs)
        out: Tensor = _LoraLinear.apply(x, linear.weight, transposed, linear.bias, down, up, scaling)  # type: ignore[no-untyped-call]
        return out

    return forward


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


class _LoraLinear(torch.autograd.Function):
    """y = x Wᵀ + b + scaling · (x Aᵀ) Bᵀ with W and b frozen."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        transposed: Tensor,
        bias: Tensor | None,
        down: Tensor,
        up: Tensor,
        scaling: float,
    ) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        inner = flat @ down.t()
        out = _product(flat, weight, bias).addmm_(inner, up.t(), alpha=scaling)
        ctx.save_for_backward(flat, inner, transposed, down, up)
        ctx.scaling = scaling
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        flat, inner, transposed, down, up = ctx.saved_tensors
        flat_grad = grad.reshape(-1, grad.shape[-1])
        inner_grad = (flat_grad @ up).mul_(ctx.scaling)
        grad_up = (flat_grad.t() @ inner).mul_(ctx.scaling)
        grad_down = inner_grad.t() @ flat
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = _product(flat_grad, transposed, None).addmm_(inner_grad, down).view(*grad.shape[:-1], -1)
        return grad_x, None, None, None, grad_down, grad_up, None
