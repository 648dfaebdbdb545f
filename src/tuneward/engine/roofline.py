"""The least time a step could take on this machine, counting every distinct token once.

`bound_fraction` is that time over the time it took. The bound is that of exact mathematics with one forward and one
backward pass per trained token: it holds for any program that samples with one model and trains with it. A phase can
exceed 1 where work is left out altogether, as the forward pass of an update is that takes over what sampling
computed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tuneward.engine.scorer import Pair, fed_sequences
from tuneward.engine.tree import build_tree

PROBE_SIZE, PROBE_NUMBERS = 1536, 16 << 20
"""Side of the square products that measure arithmetic, as wide as the layers of a small model; fp32 numbers of the
memory that is read."""
GPU_PROBE_SIZE, GPU_PROBE_NUMBERS = 8192, 256 << 20
"""The same for a GPU: smaller ones would measure how long a launch takes, and its cache."""
PROBE_REPEATS = 6


@dataclass(frozen=True, slots=True)
class MachineRates:
    """What a device does at best."""

    flops: float
    """Per second, in large products of the model's type."""
    bytes_per_second: float
    """Read from memory."""


@dataclass(frozen=True, slots=True)
class Roofline:
    """Bounds of one model on one machine.

    With N and H parameters multiplied per token in the body and in the output layer: 2 (N + H) operations to compute
    a token, 4 (N + H) to train an adapter on it (the weights' own gradients are not needed), and a pass over few
    tokens takes no less than reading the weights once. Attention is left out, which makes the bound lower, not higher.
    """

    rates: MachineRates
    body: int
    head: int
    bytes_per_parameter: int

    def rollout_seconds(self, groups: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]]) -> float:
        """Bound of sampling.

        Args:
            groups: token ids of each prompt and of its completions.
        """
        prompts = len(build_tree([prompt for prompt, _ in groups]))
        seconds = self._seconds(2 * (prompts * self.body + len(groups) * self.head))
        # A completion's last token is drawn but never fed.
        fed = [[completion[:-1] for completion in completions if len(completion) > 1] for _, completions in groups]
        positions = [build_tree(own).positions for own in fed if own]
        rows_per_pass = np.bincount(np.concatenate(positions)) if positions else np.empty(0)
        reading = (self.body + self.head) * self.bytes_per_parameter / self.rates.bytes_per_second
        per_row = self._seconds(2 * (self.body + self.head))
        return seconds + float(np.maximum(rows_per_pass * per_row, reading).sum())

    def update_seconds(self, pairs: Sequence[Pair]) -> float:
        """Bound of an update on (prompt, completion) token ids."""
        if not pairs:
            return 0.0
        tree = build_tree(fed_sequences(pairs))
        predicting = {
            int(node) for (prompt, _), path in zip(pairs, tree.paths, strict=True) for node in path[len(prompt) - 1 :]
        }
        return self._seconds(4 * (len(tree) * self.body + len(predicting) * self.head))

    def _seconds(self, operations: float) -> float:
        return operations / self.rates.flops


def roofline_of(model: Any) -> Roofline:
    """Measure the machine and count the model.

    Takes some tenths of a second on a CPU; worth doing while nothing else runs.

    Args:
        model: a bare model or one wrapped by peft.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    weight = base.get_input_embeddings().weight
    head = base.get_output_embeddings().weight.numel()
    return Roofline(measure_rates(weight.device, weight.dtype), _body_parameters(base), head, weight.itemsize)


def _body_parameters(model: nn.Module) -> int:
    """Parameters of the base model that each token is multiplied with, apart from embedding and output layer."""
    config = model.config.get_text_config()  # type: ignore[operator, union-attr]
    experts = getattr(config, "num_experts", None) or getattr(config, "num_local_experts", None)
    active = getattr(config, "num_experts_per_tok", None)
    outside = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}  # type: ignore[operator]
    count = 0.0
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2 or id(parameter) in outside or "lora_" in name:
            continue
        is_expert = ".experts." in name and experts and active
        count += parameter.numel() * (active / experts if is_expert and experts and active else 1)
    return int(count)


def measure_rates(device: torch.device, dtype: torch.dtype) -> MachineRates:
    """Best of some products and some passes over memory: a busy moment must not lower the bound."""

    def best(work: Any) -> float:
        seconds = []
        for _ in range(PROBE_REPEATS):
            _wait(device)
            started = time.perf_counter()
            work()
            _wait(device)
            seconds.append(time.perf_counter() - started)
        return min(seconds)

    on_gpu = device.type == "cuda"
    size, numbers = (GPU_PROBE_SIZE, GPU_PROBE_NUMBERS) if on_gpu else (PROBE_SIZE, PROBE_NUMBERS)
    with torch.no_grad():
        # Not random numbers: torch's generator belongs to the run, and is part of its checkpoints.
        left, right = (torch.full((size, size), 0.5, device=device, dtype=dtype) for _ in range(2))
        flops = 2 * size**3 / best(lambda: left @ right)
        memory = torch.ones(numbers, device=device)
        bandwidth = memory.nbytes / best(memory.sum)
    return MachineRates(flops, bandwidth)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
