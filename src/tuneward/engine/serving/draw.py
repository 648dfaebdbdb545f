"""Drawing one token for each row, every row with settings of its own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tuneward.engine.draw import draw_tokens, uniforms
from tuneward.engine.serving.grammar import Guide

LIKELY = 512
"""Tokens among which a nucleus is looked for first: a wide vocabulary takes long to sort."""


@dataclass(frozen=True, slots=True)
class RowDraw:
    """How one row draws."""

    seed: int
    """64 bits."""
    position: int
    """Index of the token within its answer."""
    temperature: float
    top_p: float
    top_logprobs: int | None
    bias: Mapping[int, float]
    frequency_penalty: float
    presence_penalty: float
    answer: Sequence[int]
    """Tokens drawn so far; looked at only when there is a penalty."""
    guide: Guide | None = None
    """Which tokens may come next; None: any."""
    top_k: int | None = None
    """Only so many likeliest tokens may come; None is all."""
    left: int | None = None
    """Tokens that the answer may still have; looked at only when there is a guide."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One row's token."""

    token: int
    logprob: float | None = None
    """At temperature 1, penalties and biases included; None when not asked for."""
    top: tuple[tuple[int, float], ...] = ()
    """(token, log-prob) of the likeliest, best first."""


def draw_rows(logits: Tensor, rows: Sequence[RowDraw]) -> list[Drawn | None]:
    """Draw a token for each row.

    Args:
        logits: [r, vocabulary]; used up.
        rows: [r] settings.

    Returns:
        [r]; None for a row whose logits are NaN or infinite.
    """
    logits = logits.float()
    for number, row in enumerate(rows):
        _adjust(logits[number], row)
    is_finite = torch.isfinite(logits.amax(-1)).tolist()  # a forbidden token's logit may be -inf
    tokens = logits.argmax(-1)
    random = [number for number, row in enumerate(rows) if row.temperature > 0 and is_finite[number]]
    if random:
        tokens[random] = _draw(logits[random], [rows[number] for number in random])
    drawn: list[Drawn | None] = []
    for number, (row, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
        if not is_finite[number]:
            drawn.append(None)
        elif row.top_logprobs is None:
            drawn.append(Drawn(token))
        else:
            logprobs = logits[number].log_softmax(-1)
            best = logprobs.topk(min(row.top_logprobs, len(logprobs)))
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            top = tuple(pair for pair in pairs if pair[1] > -math.inf)  # fewer tokens may be allowed than asked for
            drawn.append(Drawn(token, float(logprobs[token]), top))
    return drawn


def _adjust(logits: Tensor, row: RowDraw) -> None:
    """Penalties, biases and grammar of one row, in place. Source: OpenAI's chat completions, `frequency_penalty`."""
    if row.bias:
        known = {token: bias for token, bias in row.bias.items() if 0 <= token < len(logits)}
        logits[list(known)] += torch.tensor(list(known.values()), dtype=logits.dtype, device=logits.device)
    if (row.frequency_penalty or row.presence_penalty) and row.answer:
        counts = Counter(row.answer)
        times = torch.tensor(list(counts.values()), dtype=logits.dtype, device=logits.device)
        logits[list(counts)] -= row.frequency_penalty * times + row.presence_penalty
    if row.guide is not None:
        logits.masked_fill_(~row.guide.allowed(len(logits), row.left).to(logits.device), -torch.inf)


def _draw(logits: Tensor, rows: Sequence[RowDraw]) -> Tensor:
    """[r] tokens of rows with a temperature."""
    temperature = torch.tensor([row.temperature for row in rows], dtype=logits.dtype, device=logits.device)
    weights = torch.softmax(logits / temperature[:, None], dim=-1)
    for number, row in enumerate(rows):
        if row.top_k is not None and row.top_k < weights.shape[1]:
            best = weights[number].topk(row.top_k)
            share = best.values / best.values.sum()
            weights[number] = torch.zeros_like(weights[number]).scatter_(0, best.indices, share)
    filtered = [number for number, row in enumerate(rows) if row.top_p < 1]
    if filtered:
        weights[filtered] = _nuclei(weights[filtered], [rows[number].top_p for number in filtered])
    seeds = np.array([row.seed for row in rows], dtype=np.uint64)
    positions = np.array([row.position for row in rows], dtype=np.int64)
    uniform = torch.from_numpy(uniforms(seeds, positions)).to(logits.device)
    return draw_tokens(weights, torch.arange(len(rows), device=logits.device), uniform)


def _nuclei(weights: Tensor, top_p: Sequence[float]) -> Tensor:
    """Zero all but each row's smallest set of tokens whose probability reaches its top_p."""
    share = torch.tensor(top_p, dtype=weights.dtype, device=weights.device)[:, None]
    likely = min(LIKELY, weights.shape[1])
    ordered, tokens = weights.topk(likely)
    if bool((ordered.sum(-1, keepdim=True) < share).any()):
        ordered, tokens = weights.sort(dim=-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= share
    return torch.zeros_like(weights).scatter_(-1, tokens, ordered.masked_fill(outside, 0.0))
