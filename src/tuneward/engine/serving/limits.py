"""How much a serving engine takes on, and how much memory that is, counted before a weight is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tuneward.engine.attention import ATTENTION, register
from tuneward.errors import ModelError
from tuneward.models.importing import IMPORTING
from tuneward.models.load import default_device
from tuneward.models.memory import available_memory_bytes
from tuneward.models.quiet import quiet_libraries

KEYS_SHARE = 0.35
"""Of the memory that the weights leave: for keys and values, unless the weights themselves are smaller."""
PREFIX_SHARE = 2 / 7
"""Of keys and values: for beginnings that may come again; the rest is for rows under way."""
ADAPTER_SHARE = 0.1
"""Of the memory that the weights leave: for adapters, unless the weights themselves are smaller."""
USUAL_CONTEXT = 8192
"""Tokens of one conversation that there is room for wherever memory allows."""
LEAST_CONTEXT = 256
"""A model that has room for fewer tokens is of no use."""


@dataclass(frozen=True, slots=True)
class ServingLimits:
    """How much a serving engine takes on."""

    context: int
    """Most tokens of prompt and answer together."""
    pool_tokens: int
    """Tokens that keys and values of rows under way may take; at least `context`."""
    prefix_tokens: int = 0
    """Tokens whose keys and values are kept from ended rows."""
    max_rows: int = 32
    """Answers computed together."""
    max_waiting: int = 256
    """Answers that may wait; a request that comes when so many do is refused."""
    pass_tokens: int = 256
    """Tokens of one pass: a longer one reads prompts faster, and makes answers under way stutter."""


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What a model folder takes on this machine."""

    weights_bytes: int
    copies_bytes: int
    """Of the repacked copies that make small products fast; 0 where there are none."""
    token_bytes: int
    """Keys and values of one token."""
    context: int
    """Tokens that the model was made for."""
    is_on_gpu: bool


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a model is given."""

    limits: ServingLimits
    has_copies: bool
    adapter_bytes: int
    total_bytes: int
    """All together."""


def free_memory_bytes() -> int:
    """What models may still take: of the GPU, else of the machine; 8 GiB where the system does not tell."""
    if default_device().type == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    available = available_memory_bytes()
    return 8 * 2**30 if available is None else available


def size_of(folder: Path, name: str) -> ModelSize:
    """Count a model from its configuration. Raises ModelError when it is no causal language model."""
    with IMPORTING:
        from transformers import AutoConfig, AutoModelForCausalLM

    register()
    with quiet_libraries(), torch.device("meta"):
        try:
            whole = AutoConfig.from_pretrained(folder, local_files_only=True)
            model: Any = AutoModelForCausalLM.from_config(whole, attn_implementation=ATTENTION)
        except Exception as error:  # the libraries raise many types for a damaged or foreign folder
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{name}: cannot be loaded as a causal language model ({reason}).") from None
    is_on_gpu = default_device().type == "cuda"
    itemsize = 2 if is_on_gpu else 4  # as `load_base` loads
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    linear = sum(module.weight.numel() for module in model.modules() if type(module) is nn.Linear)
    return ModelSize(
        weights_bytes=sum(parameter.numel() for parameter in model.parameters()) * itemsize,
        copies_bytes=0 if is_on_gpu else linear * itemsize,
        token_bytes=2 * config.num_hidden_layers * heads * size * itemsize,
        context=int(getattr(config, "max_position_embeddings", None) or 4096),
        is_on_gpu=is_on_gpu,
    )


def plan_footprint(size: ModelSize, budget_bytes: int, *, name: str, max_rows: int, max_waiting: int) -> Footprint:
    """Share out the memory that a model may have.

    Raises:
        ModelError: the weights and a short conversation are more than the budget.
    """
    least_tokens = min(size.context, LEAST_CONTEXT)
    for copies in (size.copies_bytes, 0):
        weights = size.weights_bytes + copies
        adapter_bytes = min(max(0, int((budget_bytes - weights) * ADAPTER_SHARE)), weights)
        rest = budget_bytes - weights - adapter_bytes
        if rest >= least_tokens * size.token_bytes:
            break
    else:
        needed = size.weights_bytes + least_tokens * size.token_bytes
        raise ModelError(
            f"{name} needs about {1.1 * needed / 2**30:.2g} GiB of memory; the server may use "
            f"{budget_bytes / 2**30:.2g} GiB. Raise serving.memory_gb, or use a smaller model."
        )
    usual = int(min(size.context, USUAL_CONTEXT) * size.token_bytes / (1 - PREFIX_SHARE))
    most = int(max_rows * size.context * size.token_bytes / (1 - PREFIX_SHARE))
    tokens = min(max(usual, min(int(rest * KEYS_SHARE), weights)), most, rest) // size.token_bytes
    prefix_tokens = int(tokens * PREFIX_SHARE)
    if tokens - prefix_tokens < least_tokens:
        prefix_tokens = 0
    pool_tokens = tokens - prefix_tokens
    limits = ServingLimits(
        context=min(size.context, pool_tokens),
        pool_tokens=pool_tokens,
        prefix_tokens=prefix_tokens,
        max_rows=max_rows,
        max_waiting=max_waiting,
        pass_tokens=max(2048 if size.is_on_gpu else 256, 2 * max_rows),
    )
    total = weights + tokens * size.token_bytes + adapter_bytes
    return Footprint(limits, weights > size.weights_bytes, adapter_bytes, total)
