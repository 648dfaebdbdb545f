"""Sampling a batch of prompts: distinct prefixes are computed once, finished samples leave the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tuneward.engine.draw import draw_tokens, uniforms
from tuneward.engine.flex_plan import tree_attention
from tuneward.engine.forward import PackedModel
from tuneward.engine.graph_decode import AnyDecodePlan, decode_logits, decode_plan
from tuneward.engine.record import ForwardRecord
from tuneward.engine.tree import TokenTree, build_tree
from tuneward.errors import NonFiniteError
from tuneward.types import FinishReason


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How completions are drawn."""

    max_tokens: int
    temperature: float = 1.0
    """0 is greedy; log-probs and entropy are then those at temperature 1."""
    top_p: float = 1.0
    """Nucleus: the smallest set of tokens with at least this probability. 1 in training, always."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError(f"{self}: max_tokens is at least 1, temperature at least 0, top_p above 0 and at most 1")


@dataclass(slots=True)
class SampledTokens:
    """One sample as it grows."""

    token_ids: list[int]
    logprobs: list[float]
    entropies: list[float]
    finish_reason: FinishReason | None = None


OnToken = Callable[[int, SampledTokens], None]
"""Called with (sample number, sample) after each drawn token; `finish_reason` is set on the last one."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    tokens: Tensor
    logprobs: Tensor
    entropies: Tensor


@torch.inference_mode()
def sample_tokens(
    model: PackedModel,
    prompts: Sequence[Sequence[int]],
    prompt_of_sample: Sequence[int],
    seeds: Sequence[int],
    stop_ids: frozenset[int],
    params: SamplingParams,
    on_token: OnToken | None = None,
    record: ForwardRecord | None = None,
) -> list[SampledTokens]:
    """Sample completions of several prompts together.

    Args:
        model: the policy.
        prompts: token ids, each non-empty.
        prompt_of_sample: [n] index into `prompts`; every prompt has at least one sample.
        seeds: [n] 64-bit seed of each sample, see `sample_seed`.
        stop_ids: tokens that end a completion.
        params: temperature and limits.
        on_token: observer, for streaming and for scoring samples as they finish.
        record: open in the model's `merged`; learns which of its rows belong to which sample.

    Returns:
        [n] samples, in the order of `seeds`.

    Raises:
        NonFiniteError: the model produced NaN or infinite logits.
    """
    samples = [SampledTokens([], [], []) for _ in seeds]
    tree = build_tree(prompts)
    keep: dict[int, tuple[Tensor, Tensor]] = {}
    paths = [torch.from_numpy(path).to(model.device) for path in tree.paths]
    last = torch.stack([path[-1] for path in paths])
    trail = None if record is None else _Trail(record, tree, prompt_of_sample)
    logits = model.logits(tree.tokens, tree.positions, tree_attention(tree, model.device, keep), last)
    plan = decode_plan(keep, paths, capacity=len(samples), max_tokens=params.max_tokens)

    alive = np.arange(len(samples))
    row_of_sample = np.asarray(prompt_of_sample, dtype=np.int64)
    all_seeds = np.asarray(seeds, dtype=np.uint64)
    group_of_row = torch.arange(len(prompts), device=model.device)
    for position in range(params.max_tokens):
        drawn = _draw(logits, row_of_sample, uniforms(all_seeds[alive], position), params)
        tokens = drawn.tokens.numpy()
        _record(samples, alive, drawn, stop_ids, is_last=position + 1 == params.max_tokens, on_token=on_token)
        going = np.array([samples[number].finish_reason is None for number in alive])
        alive, tokens, row_of_sample = alive[going], tokens[going], row_of_sample[going]
        if not len(alive):
            break
        row_of_sample, next_tokens, parents = _regroup(plan, group_of_row, row_of_sample, tokens)
        group_of_row = group_of_row[parents]
        # The plan renumbers groups when some have finished; keep our numbers dense in the same order.
        group_of_row = torch.unique(group_of_row, return_inverse=True)[1]
        if trail is not None:
            trail.follow(alive, row_of_sample, len(next_tokens))
        logits = decode_logits(model, plan, next_tokens)
        plan.advance()
    if trail is not None:
        trail.keep(prompts, samples)
    return samples


class _Trail:
    """Follows each sample's tokens through a record's rows."""

    def __init__(self, record: ForwardRecord, tree: TokenTree, prompt_of_sample: Sequence[int]):
        self._record = record
        self._prompt_of_sample = prompt_of_sample
        rows = record.open(len(tree), np.array([path[-1] for path in tree.paths]))
        self._prompts = [rows[path] for path in tree.paths]
        self._own: list[list[int]] = [[] for _ in prompt_of_sample]

    def follow(self, alive: np.ndarray, row_of_sample: np.ndarray, count: int) -> None:
        """Announce a decode pass over `count` rows."""
        rows = self._record.open(count, np.arange(count))[row_of_sample]
        for number, row in zip(alive.tolist(), rows.tolist(), strict=True):
            self._own[number].append(row)

    def keep(self, prompts: Sequence[Sequence[int]], samples: Sequence[SampledTokens]) -> None:
        for prompt, own, sample in zip(self._prompt_of_sample, self._own, samples, strict=True):
            rows = np.concatenate([self._prompts[prompt], np.array(own, dtype=np.int64)])
            self._record.keep((*prompts[prompt], *sample.token_ids[:-1]), rows)


def _draw(logits: Tensor, rows: np.ndarray, uniform: np.ndarray, params: SamplingParams) -> _Drawn:
    """Draw one token per sample; logits [r, vocabulary] are used up.

    A vocabulary is wide, so passes over it count: one maximum, one subtraction, one exponential, one sum, one product.
    """
    logits = logits.float()
    if params.temperature not in (0, 1):
        logits /= params.temperature
    scores = logits.sub_(logits.amax(-1, keepdim=True))
    weights = scores.exp()
    total = weights.sum(-1)
    if not bool(torch.isfinite(total).all()):
        raise NonFiniteError("The model produced NaN or infinite logits while sampling.")
    normaliser = total.log()
    # Before any filter: the entropy is the policy's, not that of the filtered choice.
    mean = _dot(weights, scores) / total
    if not bool(torch.isfinite(mean).all()):
        # A token the model forbids (logit -inf) has no part in the entropy, yet 0 · -inf is NaN.
        mean = _dot(weights, scores.clamp_(min=torch.finfo(scores.dtype).min)) / total
    row = torch.from_numpy(rows).to(logits.device)
    if params.temperature == 0:
        tokens = scores.argmax(-1)[row]
    else:
        kept = weights if params.top_p >= 1 else _nucleus(weights / total[:, None], params.top_p)
        tokens = draw_tokens(kept, row, torch.from_numpy(uniform).to(logits.device))
    logprobs = scores[row, tokens] - normaliser[row]
    return _Drawn(tokens.cpu(), logprobs.cpu(), (normaliser - mean)[row].cpu())


def _dot(left: Tensor, right: Tensor) -> Tensor:
    """Row by row; torch's own `vecdot` would write the products out first."""
    return (left[:, None] @ right[:, :, None])[:, 0, 0]


def _nucleus(weights: Tensor, top_p: float) -> Tensor:
    """Zero all but the smallest set of tokens whose probability reaches top_p."""
    ordered, tokens = weights.sort(dim=-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    return weights.scatter(-1, tokens, ordered.masked_fill(outside, 0.0))


def _record(
    samples: list[SampledTokens],
    alive: np.ndarray,
    drawn: _Drawn,
    stop_ids: frozenset[int],
    *,
    is_last: bool,
    on_token: OnToken | None,
) -> None:
    columns = zip(alive.tolist(), drawn.tokens.tolist(), drawn.logprobs.tolist(), drawn.entropies.tolist(), strict=True)
    for number, token, logprob, entropy in columns:
        sample = samples[number]
        sample.token_ids.append(token)
        sample.logprobs.append(logprob)
        sample.entropies.append(entropy)
        if token in stop_ids:
            sample.finish_reason = FinishReason.STOP
        elif is_last:
            sample.finish_reason = FinishReason.LENGTH
        if on_token is not None:
            on_token(number, sample)


def _regroup(
    plan: AnyDecodePlan,
    group_of_row: Tensor,
    row_of_sample: np.ndarray,
    tokens: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """Give every distinct (row, token) a slot: first children stay, others split off, holes are filled.

    Returns:
        the new row of each sample [n], the token each row feeds [rows], and each row's parent row [rows].
    """
    pairs, child_of_sample = np.unique(np.stack([row_of_sample, tokens]), axis=1, return_inverse=True)
    parents, next_tokens = pairs
    count = len(parents)
    is_first = np.ones(count, dtype=bool)
    is_first[1:] = parents[1:] != parents[:-1]
    slot = np.full(count, -1, dtype=np.int64)
    stays = is_first & (parents < count)
    slot[stays] = parents[stays]
    free = np.setdiff1d(np.arange(count), slot[stays], assume_unique=True)
    slot[~stays] = free[: int((~stays).sum())]
    moves = slot != parents
    # A free slot below `count` may still hold the parent of a row that moves elsewhere, but such a parent has a
    # first child, which stays in it; so sources and targets never meet.
    plan.move(
        torch.from_numpy(parents[moves]).to(group_of_row.device), torch.from_numpy(slot[moves]).to(group_of_row.device)
    )
    in_slot_order = np.argsort(slot)
    parents_by_slot = torch.from_numpy(parents[in_slot_order]).to(group_of_row.device)
    plan.arrange(group_of_row[parents_by_slot])
    return slot[child_of_sample.reshape(-1)], next_tokens[in_slot_order], parents_by_slot
