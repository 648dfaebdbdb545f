"""Log-probs of given completions under the policy, packed into token trees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tuneward.engine.flex_plan import tree_attention
from tuneward.engine.forward import PackedModel
from tuneward.engine.logprob import selected_logprobs
from tuneward.engine.record import ForwardRecord
from tuneward.engine.tree import build_tree

Pair = tuple[Sequence[int], Sequence[int]]
"""Token ids of a prompt and of one completion of it, both non-empty."""


def completion_logprobs(
    model: PackedModel, pairs: Sequence[Pair], temperature: float, record: ForwardRecord | None = None
) -> Tensor:
    """Log-prob of every completion token, each distinct prefix computed once.

    Gradients flow to the model; those of shared tokens add up, so the result is that of running every
    sequence alone.

    Args:
        model: the policy, or the reference.
        pairs: (prompt, completion) token ids.
        temperature: logits are divided by it before the softmax, as in sampling.
        record: of sampling from this very policy; what it holds is not computed again.

    Returns:
        [total completion tokens] fp32, completions one after another in the order given.
    """
    return _score(model, pairs, temperature, record)[0]


def completion_scores(model: PackedModel, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Log-probs at temperature 1 as `completion_logprobs` gives them, and which tokens are the model's likeliest.

    Returns:
        ([total completion tokens] fp32, [total completion tokens] bool)
    """
    logp, is_likeliest = _score(model, pairs, 1.0, None, with_likeliest=True)
    assert is_likeliest is not None
    return logp, is_likeliest


def _score(
    model: PackedModel,
    pairs: Sequence[Pair],
    temperature: float,
    record: ForwardRecord | None,
    *,
    with_likeliest: bool = False,
) -> tuple[Tensor, Tensor | None]:
    sequences = fed_sequences(pairs)
    tree = build_tree(sequences)
    nodes = np.concatenate([path[len(prompt) - 1 :] for (prompt, _), path in zip(pairs, tree.paths, strict=True)])
    tokens = np.concatenate([np.asarray(completion, dtype=np.int64) for _, completion in pairs])
    targets, target_of_token = np.unique(np.stack([nodes, tokens]), axis=1, return_inverse=True)
    rows, row_of_target = np.unique(targets[0], return_inverse=True)

    def on_device(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array.reshape(-1)).to(model.device)

    replay = None if record is None else record.replay(tree, sequences, rows)
    logits = model.logits(tree.tokens, tree.positions, tree_attention(tree, model.device), on_device(rows), replay)
    row, token, spread = on_device(row_of_target), on_device(targets[1]), on_device(target_of_token)
    # Before the logits are used up.
    is_likeliest = (logits.detach().argmax(dim=-1)[row] == token)[spread] if with_likeliest else None
    return selected_logprobs(logits, row, token, temperature)[spread], is_likeliest


def fed_sequences(pairs: Sequence[Pair]) -> list[tuple[int, ...]]:
    """What the model is fed of each pair: a completion's last token predicts nothing, so it is left out."""
    return [(*prompt, *completion[:-1]) for prompt, completion in pairs]


def pack(pairs: Sequence[Pair], budget: int) -> list[list[int]]:
    """Split pairs into micro-batches of at most `budget` distinct tokens.

    Neighbours in sorted order share the most, so they stay together. A pair larger than the budget gets a
    micro-batch of its own. Any split gives the same loss and gradient.

    Returns:
        Lists of indices into `pairs`.
    """
    order = sorted(range(len(pairs)), key=lambda i: (tuple(pairs[i][0]), tuple(pairs[i][1])))
    packs: list[list[int]] = []
    used = 0
    previous: np.ndarray | None = None
    for index in order:
        current = np.asarray((*pairs[index][0], *pairs[index][1][:-1]), dtype=np.int64)
        fresh = len(current)
        if previous is not None:
            length = min(len(previous), len(current))
            differs = np.flatnonzero(previous[:length] != current[:length])
            fresh -= int(differs[0]) if len(differs) else length
        if previous is None or used + fresh > budget:
            packs.append([])
            used, fresh = 0, len(current)
        packs[-1].append(index)
        used += fresh
        previous = current
    return packs
