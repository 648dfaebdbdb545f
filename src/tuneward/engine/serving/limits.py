"""How much a serving engine takes on, and what this machine allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from tuneward.errors import ModelError
from tuneward.models.memory import available_memory_bytes

POOL_SHARE, PREFIX_SHARE = 0.25, 0.1
"""Of the memory that is free once the model is loaded: for rows under way, and for beginnings that may come again."""
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


def limits_for(model: Any, *, max_rows: int, max_waiting: int) -> ServingLimits:
    """Limits for a loaded model and the memory that is free now.

    Raises:
        ModelError: not even a short conversation fits.
    """
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    weight = next(model.parameters())
    token_bytes = 2 * config.num_hidden_layers * heads * size * weight.itemsize
    free = torch.cuda.mem_get_info()[0] if weight.is_cuda else available_memory_bytes()
    context = int(getattr(config, "max_position_embeddings", None) or 4096)
    if free is None:
        pool_tokens, prefix_tokens = 8 * context, context
    else:
        pool_tokens, prefix_tokens = (int(free * share / token_bytes) for share in (POOL_SHARE, PREFIX_SHARE))
    if pool_tokens < min(context, LEAST_CONTEXT):
        raise ModelError(
            f"Only {(free or 0) / 2**30:.1f} GiB of memory are free beside the model, too little for a conversation; "
            "use a smaller model or a machine with more memory."
        )
    return ServingLimits(
        context=min(context, pool_tokens),
        pool_tokens=min(pool_tokens, max_rows * context),
        prefix_tokens=prefix_tokens,
        max_rows=max_rows,
        max_waiting=max_waiting,
        pass_tokens=max(256, 2 * max_rows) if not weight.is_cuda else max(2048, 2 * max_rows),
    )
