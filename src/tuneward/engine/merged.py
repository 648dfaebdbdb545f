"""Weights laid out for sampling: the adapter merged in, and on a CPU repacked for products with few rows.

Merging in bf16 would round most of a small update away, and merging in place and back leaves drift, so this merges
in fp32 only, into memory of its own; the base weights are never written. Repacking is oneDNN's: at 8 to 128 rows
it multiplies 1.5 to 5 times as fast as the default product, and a pass over the weights costs less than one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tuneward.engine.record import HEAD, ForwardRecord
from tuneward.models.memory import available_memory_bytes

HEADROOM = 3
"""Where nobody has planned, copies are made only when this many times their size is available."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A linear layer, and what the adapter adds to it."""

    linear: nn.Linear
    whole: nn.Module
    """What the model calls: peft's layer around the linear one, or that itself."""
    down: Tensor | None = None
    """[r, in] LoRA's A."""
    up: Tensor | None = None
    """[out, r] LoRA's B."""
    scaling: float = 0.0

    def effective_weight(self) -> Tensor:
        """[out, in] the weight with the adapter merged in."""
        if self.down is None or self.up is None:
            return self.linear.weight
        return torch.addmm(self.linear.weight, self.up, self.down, alpha=self.scaling)


class SamplingWeights:
    """Linear layers of a model in the form that samples fastest.

    Args:
        model: a `peft.PeftModel` or a bare model. Where merging would not be exact, or memory is short, nothing
            is changed.
        merge: whether to make copies; None decides by the memory available now.
    """

    def __init__(self, model: Any, *, merge: bool | None = None):
        self._model = model
        self._adapted, self._frozen = _layers(model) if merge is not False else ([], [])
        if merge is None and not _has_room(self._adapted + self._frozen):
            self._adapted, self._frozen = [], []
        self._packed_frozen: list[Tensor] | None = None

    @property
    def output_bytes(self) -> int:
        """Bytes of one token's outputs of the adapted layers and the output layer."""
        head = output_layer(self._model)
        recorded = [layer.linear for layer in self._adapted] + ([head] if self._adapted and head is not None else [])
        return sum(linear.out_features * linear.weight.itemsize for linear in recorded)

    @contextmanager
    def active(self, record: ForwardRecord | None = None) -> Iterator[None]:
        """Inside the block the model computes with merged weights, without gradients.

        Args:
            record: keeps the outputs of the adapted layers and of the output layer.
        """
        if not self._adapted and not self._frozen:
            yield
            return
        with torch.no_grad():
            if self._packed_frozen is None:  # they never change
                self._packed_frozen = [_pack(layer.linear.weight) for layer in self._frozen]
            packed = [_pack(layer.effective_weight()) for layer in self._adapted]
        layers = [*self._adapted, *self._frozen]
        usual = [layer.whole.forward for layer in layers]
        head = output_layer(self._model)
        for number, (layer, weight) in enumerate(zip(layers, [*packed, *self._packed_frozen], strict=True)):
            product = _product(weight, layer.linear.bias)
            if record is not None and (number < len(self._adapted) or layer.linear is head):
                product = record.tap(HEAD if layer.linear is head else number, product)
            layer.whole.forward = product
        try:
            yield
        finally:
            for layer, forward in zip(layers, usual, strict=True):
                layer.whole.forward = forward


def can_pack() -> bool:
    """Whether oneDNN's products are there."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")  # type: ignore[no-untyped-call]


def _pack(weight: Tensor) -> Tensor:
    """A copy of a weight, in oneDNN's own layout where there is one."""
    if not can_pack():
        return weight.detach()
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), 64)
    return packed


def _product(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """x → x Wᵀ + b for a weight from `_pack`."""
    if not can_pack():
        return lambda x: nn.functional.linear(x, weight, bias)
    product = torch.ops.mkldnn._linear_pointwise

    def multiply(x: Tensor) -> Tensor:
        out: Tensor = product(x, weight, bias, "none", [], "")
        return out

    return multiply


def adapted_layers(model: Any) -> list[tuple[Any, nn.Linear]]:
    """(peft's layer, its linear layer) of every LoRA layer; empty when one of them is of a special kind."""
    from peft.tuners.lora import LoraLayer

    found = [(module, module.get_base_layer()) for module in model.modules() if isinstance(module, LoraLayer)]
    for adapter, linear in found:
        is_special = adapter.use_dora.get("default") or adapter.lora_bias.get("default")
        if is_special or not _is_plain(linear) or "default" not in adapter.lora_A:
            return []
    return found


def output_layer(model: Any) -> nn.Linear | None:
    """The layer that gives logits, when it is plain and has no adapter."""
    head = model.get_output_embeddings()
    return head if _is_plain(head) else None


def _layers(model: Any) -> tuple[list[_Layer], list[_Layer]]:
    """(layers with an adapter, layers without); both empty when the model is better left as it is."""
    from peft.tuners.lora import LoraLayer

    found = adapted_layers(model)
    if not found and any(isinstance(module, LoraLayer) for module in model.modules()):
        return [], []
    adapted = [
        _Layer(linear, layer, layer.lora_A["default"].weight, layer.lora_B["default"].weight, layer.scaling["default"])
        for layer, linear in found
    ]
    known = {id(part) for layer, _ in found for part in layer.modules()}
    frozen = [_Layer(module, module) for module in model.modules() if _is_plain(module) and id(module) not in known]
    return adapted, frozen


def _has_room(layers: list[_Layer]) -> bool:
    available = available_memory_bytes()
    return available is None or sum(layer.linear.weight.nbytes for layer in layers) * HEADROOM <= available


def _is_plain(module: nn.Module) -> bool:
    """An unquantised linear layer on the CPU in fp32."""
    if type(module) is not nn.Linear:
        return False
    weight = module.weight
    return weight.is_floating_point() and weight.itemsize == 4 and weight.device.type == "cpu"
