"""The measurements of `gpu.py`, one function a part; each returns figures by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from gpu_model import SMALL_GPU_BYTES, Bench, Figures
from torch import Tensor

from tuneward.engine import sampler, scorer
from tuneward.engine.attention import ATTENTION, LayerScores
from tuneward.engine.decode_plan import DecodePlan
from tuneward.engine.draw import sample_seed
from tuneward.engine.flex_plan import FlexTreePlan
from tuneward.engine.graph_decode import GraphDecodePlan
from tuneward.engine.sampler import SampledTokens, SamplingParams, sample_tokens
from tuneward.engine.scorer import Pair, completion_logprobs, fed_sequences, pack
from tuneward.engine.static_plan import StaticDecodePlan
from tuneward.engine.tree import build_tree
from tuneward.engine.tree_plan import TreePlan


def parts_of(bench: Bench) -> list[tuple[str, Callable[[], Figures]]]:
    """Plain paths first: should a fast one upset the device, what it is compared with is known."""
    return [
        ("decode eager", lambda: decode(bench, DecodePlan)),
        ("prefill tree", lambda: prefill(bench, TreePlan)),
        ("update tree", lambda: update(bench, TreePlan)),
        *([("decode transformers", lambda: decode_peer(bench))] if bench.size.has_peer else []),
        ("prefill flex", lambda: prefill(bench, FlexTreePlan)),
        ("kernel flex", lambda: compare_kernels(bench)),
        ("logprobs flex", lambda: compare_logprobs(bench)),
        *([("update flex", lambda: update(bench, FlexTreePlan))] if bench.device.type == "cuda" else []),
        ("decode graph", lambda: decode(bench, GraphDecodePlan if bench.device.type == "cuda" else StaticDecodePlan)),
        ("logprobs graph", lambda: compare_samples(bench)),
        ("mismatch", lambda: mismatch(bench)),
        ("24 GB", lambda: small_gpu(bench)),
    ]


@contextmanager
def replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Inside the block, the engine makes another kind of plan than it would choose."""
    usual = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, usual)


def draw(bench: Bench, plan: Any, rows: int, new_tokens: int) -> list[SampledTokens]:
    """Samples of a kind of decode plan; no answer ends early."""
    per_prompt = bench.size.samples
    seeds = [sample_seed(0, 1, str(row), 0) for row in range(rows)]
    owners = [row // per_prompt for row in range(rows)]
    params = SamplingParams(new_tokens)
    with replaced(sampler, "decode_plan", plan), bench.model.merged():
        return list(sample_tokens(bench.model, bench.prompts[: rows // per_prompt], owners, seeds, frozenset(), params))


def decode(bench: Bench, plan: Any) -> Figures:
    """Tokens per second of whole rollouts, prefill and captures included."""
    figures: Figures = {}
    draw(bench, plan, bench.size.decode_rows[0], 4)
    for rows in bench.size.decode_rows:
        bench.forget_peak()
        seconds, samples = bench.timed(partial(draw, bench, plan, rows, bench.size.new_tokens))
        groups = [
            (prompt, [one.token_ids for one in samples[i * bench.size.samples :][: bench.size.samples]])
            for i, prompt in enumerate(bench.prompts[: rows // bench.size.samples])
        ]
        figures |= {
            f"tokens_per_second_{rows}": rows * bench.size.new_tokens / seconds,
            f"ms_per_step_{rows}": 1000 * seconds / bench.size.new_tokens,
            f"bound_fraction_{rows}": bench.roofline.rollout_seconds(groups) / seconds,
        }
        figures |= {f"{name}_{rows}": value for name, value in bench.peak().items()}
        if rows == bench.size.decode_rows[0]:
            bench.samples = samples
    return figures


def decode_peer(bench: Bench) -> Figures:
    """The same work by the library, on the same weights and adapter."""
    figures: Figures = {}
    model: Any = bench.model.model
    model.set_attn_implementation("sdpa")
    try:
        for rows in bench.size.decode_rows:
            prompts = [bench.prompts[row // bench.size.samples] for row in range(rows)]
            tokens = torch.tensor(prompts, device=bench.device)
            for new_tokens in (2, bench.size.new_tokens):  # the first warms up
                generate = partial(
                    bench.policy.generate,
                    input_ids=tokens,
                    attention_mask=torch.ones_like(tokens),
                    do_sample=True,
                    top_k=0,
                    max_new_tokens=new_tokens,
                    eos_token_id=None,
                    pad_token_id=0,
                )
                seconds, out = bench.timed(generate)
            assert out.shape[1] == bench.size.prompt_tokens + bench.size.new_tokens
            figures[f"tokens_per_second_{rows}"] = rows * bench.size.new_tokens / seconds
    finally:
        model.set_attn_implementation(ATTENTION)
    return figures


@torch.inference_mode()
def prefill(bench: Bench, plan: Any) -> Figures:
    tree = build_tree(bench.prompts[: bench.size.prompts])
    last = torch.tensor([int(path[-1]) for path in tree.paths], device=bench.device)

    def run() -> None:
        keep: dict[int, tuple[Tensor, Tensor]] = {}
        bench.model.logits(tree.tokens, tree.positions, plan(tree, bench.device, keep), last)

    first, _ = bench.timed(run)
    seconds = min(bench.timed(run)[0] for _ in range(3))
    return {"tokens_per_second": len(tree) / seconds, "seconds_first": first}


def logprobs(bench: Bench, plan: Any, pairs: Sequence[Pair]) -> Tensor:
    with replaced(scorer, "tree_attention", plan):
        return completion_logprobs(bench.model, pairs, 1.0)


def train(bench: Bench, plan: Any, packs: Sequence[Sequence[int]]) -> None:
    """One optimizer step over micro-batches, as the trainer makes it."""
    optimizer = torch.optim.AdamW(bench.parameters, lr=0.0)
    for indices in packs:
        logp = logprobs(bench, plan, [bench.pairs[index] for index in indices])
        (logp.sum() / len(bench.pairs)).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(bench.parameters, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def update(bench: Bench, plan: Any) -> Figures:
    bench.forget_peak()
    budget = bench.token_budget(bench.reachable_bytes())
    packs = pack(bench.pairs, budget)
    first, _ = bench.timed(lambda: train(bench, plan, packs[:2]))  # compiles for one length and for all
    seconds, _ = bench.timed(lambda: train(bench, plan, packs))
    distinct = len(build_tree(fed_sequences(bench.pairs)))
    return {
        "seconds": seconds,
        "distinct_tokens_per_second": distinct / seconds,
        "completion_tokens_per_second": len(bench.pairs) * bench.size.new_tokens / seconds,
        "bound_fraction": bench.roofline.update_seconds(bench.pairs) / seconds,
        "token_budget": budget,
        "micro_batches": len(packs),
        "seconds_first_two_micro_batches": first,
        **bench.peak(),
    }


def compare_kernels(bench: Bench) -> Figures:
    """Windows, caps and sinks, values and gradients: the fused kernel against `TreePlan`, in the model's type."""
    size, figures = bench.size, {}
    tree = build_tree(fed_sequences(bench.pairs[: 2 * size.samples]))
    shapes = [(size.heads, len(tree), 64), *[(size.key_heads, len(tree), 64)] * 2]
    tensors = [torch.randn(shape, device=bench.device, dtype=size.dtype) for shape in shapes]
    sinks = torch.randn(size.heads, device=bench.device, dtype=size.dtype)
    has_gradient = bench.device.type == "cuda"
    kinds = {
        "plain": LayerScores(0.125),
        "window": LayerScores(0.125, window=size.prompt_tokens // 3),
        "softcap": LayerScores(0.125, softcap=2.0),
        "sinks": LayerScores(0.125, sinks=sinks),
    }
    for name, scores in kinds.items():
        q, k, v = inputs = [tensor.clone().requires_grad_(has_gradient) for tensor in tensors]
        ours, expected = (kind(tree, bench.device).attend(0, q, k, v, scores) for kind in (FlexTreePlan, TreePlan))
        figures[f"{name}_difference"] = relative(ours, expected)
        if has_gradient:
            weight = torch.randn_like(ours)
            gradients = [torch.autograd.grad((out * weight).sum(), inputs) for out in (ours, expected)]
            figures[f"{name}_gradient_difference"] = max(map(relative, *gradients))
    return figures


def relative(ours: Tensor, expected: Tensor) -> float:
    """Norm of the difference by the norm."""
    return float((ours.double() - expected.double()).norm() / expected.double().norm())


@torch.no_grad()
def compare_logprobs(bench: Bench) -> Figures:
    pairs = bench.pairs[: bench.size.samples]
    return differences(logprobs(bench, FlexTreePlan, pairs), logprobs(bench, TreePlan, pairs))


def compare_samples(bench: Bench) -> Figures:
    """Both decode plans on the same random numbers: log-probs up to where a sample takes another token."""
    kind = GraphDecodePlan if bench.device.type == "cuda" else StaticDecodePlan
    rows, length = bench.size.decode_rows[0], min(64, bench.size.new_tokens)
    ours, expected = (draw(bench, plan, rows, length) for plan in (kind, DecodePlan))
    mine: list[float] = []
    other: list[float] = []
    for one, two in zip(ours, expected, strict=True):
        agree = next((i for i in range(length) if one.token_ids[i] != two.token_ids[i]), length)
        mine += one.logprobs[:agree]
        other += two.logprobs[:agree]
    return {"same_tokens_share": len(mine) / (rows * length), **differences(torch.tensor(mine), torch.tensor(other))}


@torch.no_grad()
def mismatch(bench: Bench) -> Figures:
    """Log-probs of the sampler against those of the trainer, for the last samples drawn."""
    plan = FlexTreePlan if bench.device.type == "cuda" else TreePlan
    pairs = [(bench.prompts[0], one.token_ids) for one in bench.samples[: bench.size.samples]]
    sampled = torch.tensor([value for one in bench.samples[: bench.size.samples] for value in one.logprobs])
    return differences(sampled, logprobs(bench, plan, pairs).cpu())


def differences(ours: Tensor, expected: Tensor) -> Figures:
    difference = (ours - expected).abs()
    return {"max_difference": float(difference.max()), "mean_difference": float(difference.mean())}


def small_gpu(bench: Bench) -> Figures:
    """A rollout and micro-batches of an update with no more memory than a 24 GB card has."""
    is_gpu = bench.device.type == "cuda"
    decoder, trainer = (GraphDecodePlan, FlexTreePlan) if is_gpu else (StaticDecodePlan, TreePlan)
    bench.forget_peak()
    held = bench.held_bytes()
    budget = bench.token_budget(SMALL_GPU_BYTES)
    packs = pack(bench.pairs, budget)[:3]
    rows = bench.size.prompts * bench.size.samples
    figures: Figures = {"held_gb": held / 1e9, "token_budget": budget}
    for name, work in (
        ("rollout", partial(draw, bench, decoder, rows, bench.size.new_tokens)),
        ("update", partial(train, bench, trainer, packs)),
    ):
        bench.forget_peak()
        figures[f"{name}_fits"] = fits(work, bench)
        if not figures[f"{name}_fits"]:
            bench.forget_peak()
            work()  # without the limit, to know what it takes
        figures |= {f"{name}_{key}": value for key, value in bench.peak().items()}
    return figures


def fits(work: Callable[[], Any], bench: Bench) -> bool:
    """Whether work runs when the allocator may take no more than a 24 GB card has."""
    if bench.device.type != "cuda":
        work()
        return True
    total = torch.cuda.get_device_properties(bench.device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, SMALL_GPU_BYTES / total))
    try:
        work()
        return True
    except torch.OutOfMemoryError:
        for parameter in bench.parameters:
            parameter.grad = None
        return False
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
