"""Several LoRA adapters on one resident base model, in one pass over its weights.

The tokens of a pass are packed so that those of an adapter lie together; every linear layer computes the base's
product for all of them and adds each adapter's part to its own tokens. The base weights are never written, and a
request holds the adapter it was submitted with: loading another one under the same name changes later requests only.

Source: batched adapters as in S-LoRA, arXiv 2311.03285.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tuneward.engine.merged import output_layer
from tuneward.errors import EngineError, ModelError
from tuneward.models.gguf import sha256_file

_PREFIX = "base_model.model."
_UNSUPPORTED = (
    "use_dora", "lora_bias", "modules_to_save", "rank_pattern", "alpha_pattern", "target_parameters",
    "fan_in_fan_out", "layer_replication",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """One loaded adapter."""

    version: str
    """`adapter-` and the beginning of the weights' SHA-256."""
    parts: dict[str, tuple[Tensor, Tensor]]
    """Per layer: A [r, in] and B [out, r], the scaling multiplied into B."""


def load_adapter(model: nn.Module, folder: Path) -> Adapter:
    """Read an adapter in peft's format for a bare model.

    Raises:
        ModelError: unreadable, of a kind that cannot share a pass, or for another model.
    """
    weights = folder / "adapter_model.safetensors"
    try:
        config: dict[str, Any] = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        tensors = load_file(weights)
        scaling = config["lora_alpha"] / (config["r"] ** (0.5 if config.get("use_rslora") else 1))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(
            f"{folder}: cannot be read as a LoRA adapter ({' '.join(str(error).split())[:160]})."
        ) from None
    special = [key for key in _UNSUPPORTED if config.get(key)]
    if special or config.get("bias", "none") != "none":
        raise ModelError(f"{folder}: cannot be served beside others because of {', '.join(special) or 'bias'}.")
    layers, head = dict(model.named_modules()), output_layer(model)
    parts = {}
    for name in sorted({key.rpartition(".lora_")[0] for key in tensors}):
        layer = layers.get(name.removeprefix(_PREFIX))
        down, up = tensors.get(f"{name}.lora_A.weight"), tensors.get(f"{name}.lora_B.weight")
        if not isinstance(layer, nn.Linear) or layer is head or down is None or up is None:
            raise ModelError(
                f"{folder}: {name or 'a tensor'} is not the adapter of an inner linear layer of this model."
            )
        if (up.shape[0], down.shape[1]) != (layer.out_features, layer.in_features):
            raise ModelError(f"{folder}: {name} has other sizes than this model's layer; it is for another model.")
        device = next(layer.parameters()).device
        kind = down.dtype if layer.weight.dtype != torch.float64 else torch.float64
        parts[name.removeprefix(_PREFIX)] = down.to(device, kind), up.to(device, kind) * scaling
    return Adapter(f"adapter-{sha256_file(weights)[:12]}", parts)


class AdapterSwitch:
    """Lets a model's linear layers add adapters' parts to stretches of the packed tokens."""

    def __init__(self, model: nn.Module):
        head = output_layer(model)
        self._linears = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear) and module is not head
        }
        self._stretches: list[tuple[int, int, Adapter]] = []
        self._tokens = 0

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Inside the block the layers listen to `use`; enter it after `PackedModel.merged`."""
        usual = {name: linear.forward for name, linear in self._linears.items()}
        for name, linear in self._linears.items():
            linear.forward = self._with_adapters(name, usual[name])  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            for name, linear in self._linears.items():
                linear.forward = usual[name]  # type: ignore[method-assign]

    def use(self, owners: Sequence[tuple[Adapter | None, int]]) -> None:
        """Say whose the tokens of the next pass are: (adapter, tokens), in packed order."""
        self._stretches = []
        self._tokens = 0
        for adapter, count in owners:
            stretch = (self._tokens, self._tokens + count, adapter)
            self._tokens += count
            if adapter is None:
                continue
            if self._stretches and self._stretches[-1][1:] == (stretch[0], adapter):
                self._stretches[-1] = (self._stretches[-1][0], stretch[1], adapter)
            else:
                self._stretches.append((stretch[0], stretch[1], adapter))

    def _with_adapters(self, name: str, base: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def forward(x: Tensor) -> Tensor:
            out = base(x)
            for start, stop, adapter in self._stretches:
                part = adapter.parts.get(name)
                if part is None:
                    continue
                flat, flat_out = x.reshape(-1, x.shape[-1]), out.view(-1, out.shape[-1])
                if len(flat) != self._tokens:
                    raise EngineError(f"{name} does not see all tokens of a pass; its adapter cannot be served.")
                down, up = part
                flat_out[start:stop] += ((flat[start:stop].to(down.dtype) @ down.t()) @ up.t()).to(out.dtype)
            return out

        return forward
