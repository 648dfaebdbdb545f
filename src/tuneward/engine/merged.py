"""Sampling from merged weights: one product per layer instead of three, and the base weights stay as they are.

Merging in bf16 would round most of a small update away, and merging in place and back leaves drift, so this merges
in fp32 only, into buffers of its own; the base weights are swapped out, never written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tuneward.models.memory import available_memory_bytes

HEADROOM = 3
"""Buffers are taken only when this many times their size is available."""


@dataclass(frozen=True, slots=True)
class _Layer:
    base: nn.Linear
    down: nn.Parameter
    """[r, in] LoRA's A."""
    up: nn.Parameter
    """[out, r] LoRA's B."""
    scaling: float
    buffer: Tensor


class MergedWeights:
    """Merged copies of a LoRA model's linear layers.

    Args:
        model: a `peft.PeftModel`, or anything else, for which `merged` then does nothing.
    """

    def __init__(self, model: Any):
        self._model = model
        self._layers = _plain_layers(model)

    @contextmanager
    def merged(self) -> Iterator[None]:
        """Inside the block the model computes with W + scaling · B A, without gradients."""
        if not self._layers:
            yield
            return
        originals = [layer.base.weight.data for layer in self._layers]
        with torch.no_grad():
            for layer in self._layers:
                torch.addmm(layer.base.weight, layer.up, layer.down, alpha=layer.scaling, out=layer.buffer)
                layer.base.weight.data = layer.buffer
        try:
            with self._model.disable_adapter():
                yield
        finally:
            for layer, original in zip(self._layers, originals, strict=True):
                layer.base.weight.data = original


def _plain_layers(model: Any) -> list[_Layer]:
    """The LoRA layers with their buffers; none when one of them cannot be merged so, or memory is short."""
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    if not isinstance(model, PeftModel):
        return []
    adapters = [module for module in model.modules() if isinstance(module, LoraLayer)]
    bases = [adapter.get_base_layer() for adapter in adapters]
    for adapter, base in zip(adapters, bases, strict=True):
        is_plain = (
            type(base) is nn.Linear and base.weight.dtype == torch.float32 and list(adapter.lora_A) == ["default"]
        )
        if not is_plain or adapter.use_dora.get("default") or adapter.lora_bias.get("default"):
            return []
    available = available_memory_bytes()
    needed = sum(base.weight.nbytes for base in bases)
    if available is not None and needed * HEADROOM > available:
        return []
    return [
        _Layer(
            base,
            adapter.lora_A["default"].weight,
            adapter.lora_B["default"].weight,
            adapter.scaling["default"],
            torch.empty_like(base.weight),
        )
        for adapter, base in zip(adapters, bases, strict=True)
    ]
