"""One attention function for every architecture: the plan decides who sees whom.

`transformers` calls the registered function in each layer with that layer's queries, keys and values and passes
the model call's extra keywords through, so a plan object given as `plan=` reaches it on any model. Sliding
windows, attention sinks and score caps arrive as keywords of the layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from tuneward.models.importing import IMPORTING

ATTENTION = "tuneward_plan"
"""Name under which the function is registered; models are loaded with this attention implementation."""


@dataclass(frozen=True, slots=True)
class LayerScores:
    """What a layer asks of its attention scores."""

    scaling: float
    """Factor on q · k."""
    window: int | None = None
    """Tokens visible back from (and including) the query; None is unlimited."""
    softcap: float | None = None
    """Scores s become softcap · tanh(s / softcap)."""
    sinks: Tensor | None = None
    """[query heads] a logit per head that takes probability without a value."""


class Plan(Protocol):
    """Computes one layer's attention for the tokens of one model call."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scores: LayerScores) -> Tensor:
        """Attention output for packed tokens.

        Args:
            layer: index of the layer.
            q: [query heads, n, head size].
            k: [key heads, n, head size], rotary embedding applied.
            v: [key heads, n, value size].
            scores: the layer's scaling, window, cap and sinks.

        Returns:
            [n, query heads, value size].
        """
        ...


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """The function `transformers` calls: batch 1, tokens packed; the mask is the plan's business."""
    del attention_mask
    plan: Plan = options["plan"]
    scores = LayerScores(
        scaling=options.get("scaling") or query.shape[-1] ** -0.5,
        window=options.get("sliding_window"),
        softcap=options.get("softcap"),
        sinks=options.get("s_aux"),
    )
    out = plan.attend(module.layer_idx, query[0], key[0], value[0], scores)
    return out.unsqueeze(0), None


def register() -> None:
    """Make `ATTENTION` known to `transformers`; safe to call again."""
    with IMPORTING:
        from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, _attend)


def probabilities(raw: Tensor, mask: Tensor | None, scores: LayerScores, sinks: Tensor | None) -> Tensor:
    """Softmax of q · k with the layer's scaling, cap, mask and sinks, in fp32 or better.

    Args:
        raw: [..., queries, keys] products q · k; overwritten.
        mask: additive, broadcastable to `raw`; None when everything is visible.
        scores: of the layer.
        sinks: broadcastable to [..., queries, 1], or None.
    """
    raw = capped(raw, mask, scores)
    if sinks is None:
        return torch.softmax(raw, dim=-1)
    with_sink = torch.cat([raw, sinks.to(raw.dtype).expand(*raw.shape[:-1], 1)], dim=-1)
    return torch.softmax(with_sink, dim=-1)[..., :-1]


def capped(raw: Tensor, mask: Tensor | None, scores: LayerScores) -> Tensor:
    """q · k with the layer's scaling, cap and mask, in fp32 or better; see `probabilities`."""
    raw = (raw if raw.dtype == torch.float64 else raw.float()).mul_(scores.scaling)
    if scores.softcap is not None:
        raw.div_(scores.softcap).tanh_().mul_(scores.softcap)
    return raw if mask is None else raw.add_(mask)


def weigh(raw: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Attention to some of the keys, in a form that can be merged with attention to others.

    Args:
        raw: [..., queries, keys] from `capped`, finite; overwritten.
        values: [..., keys, size].

    Returns:
        [..., queries, size] in the values' type, and the log-sum-exp of the scores [..., queries].
    """
    top = raw.amax(-1, keepdim=True)
    weights = raw.sub_(top).exp_()
    total = weights.sum(-1, keepdim=True)
    out = (weights.to(values.dtype) @ values).div_(total.to(values.dtype))
    return out, (top + total.log())[..., 0]
