"""Random draws that depend on who draws, never on who else is in the batch."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_VOCABULARY_BLOCK = 256


def sample_seed(run_seed: int, step: int, prompt_id: str, index: int) -> int:
    """64-bit seed of one sample, from its identity alone."""
    identity = f"{run_seed}/{step}/{prompt_id}/{index}".encode()
    return int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest(), "little")


def uniforms(seeds: NDArray[np.uint64], position: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """One number in [0, 1) per sample for a token position, by a counter-based generator.

    The SplitMix64 output function over (seed, position): no state to carry, so a resumed or re-batched
    sample draws the same numbers.

    Args:
        seeds: [n] uint64.
        position: index of the token within its completion; one for all, or [n].

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        z: NDArray[np.uint64] = seeds + np.uint64(0x9E3779B97F4A7C15) * np.asarray(position + 1, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw_tokens(weights: Tensor, rows: Tensor, uniform: Tensor) -> Tensor:
    """Inverse-transform sampling of one token per sample from shared rows of unnormalised probabilities.

    Two levels (block sums, then one block) replace a cumulative sum over the whole vocabulary; sums are in
    fp64, where the order of addition cannot move a boundary by a visible amount.

    Args:
        weights: [r, vocabulary] >= 0, each row with a positive sum.
        rows: [n] int64 row of each sample.
        uniform: [n] float64 in [0, 1).

    Returns:
        [n] int64 tokens, always of positive weight.
    """
    vocabulary = weights.shape[1]
    padding = -vocabulary % _VOCABULARY_BLOCK
    if padding:
        weights = torch.nn.functional.pad(weights, (0, padding))
    blocks = weights.view(weights.shape[0], -1, _VOCABULARY_BLOCK)
    block_ends = blocks.sum(-1, dtype=torch.float64).cumsum(-1)
    target = uniform * block_ends[rows, -1]
    ends = block_ends[rows]
    block = torch.searchsorted(ends, target[:, None], right=True).clamp_(max=ends.shape[1] - 1)
    before = torch.where(block > 0, ends.gather(1, (block - 1).clamp_(min=0)), 0.0)
    inside = blocks[rows, block[:, 0]].double()
    within = torch.searchsorted(inside.cumsum(-1), target[:, None] - before, right=True)
    # Rounding may carry the target past the last positive weight of the block; step back to it.
    last = _VOCABULARY_BLOCK - 1 - (inside.flip(-1) > 0).to(torch.int8).argmax(-1, keepdim=True)
    return (block * _VOCABULARY_BLOCK + torch.minimum(within, last))[:, 0]
