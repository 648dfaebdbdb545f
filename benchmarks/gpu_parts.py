"""The measurements of `gpu.py`, one function a part; each returns figures by name."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from tuneward.engine import sampler, scorer
from tuneward.engine.attention import ATTENTION, LayerScores
from tuneward.engine.decode_plan import DecodePlan
from tuneward.engine.draw import sample_seed
from tuneward.engine.flex_plan import FlexTreePlan
from tuneward.engine.forward import PackedModel
from tuneward.engine.graph_decode import GraphDecodePlan
from tuneward.engine.memory_plan import Device, JobSize
from tuneward.engine.planner import LEAST_TOKENS, Job, choose_budgets
from tuneward.engine.roofline import Roofline, roofline_of
from tuneward.engine.sampler import SampledTokens, SamplingParams, sample_tokens
from tuneward.engine.scorer import Pair, completion_logprobs, fed_sequences, pack
from tuneward.engine.shape import shape_of
from tuneward.engine.static_plan import StaticDecodePlan
from tuneward.engine.tree import build_tree
from tuneward.engine.tree_plan import TreePlan

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Size:
    """Shape of a Qwen3 model, and of the work that is measured with it."""

    hidden: int
    layers: int
    heads: int
    key_heads: int
    head_dim: int
    inner: int
    vocabulary: int
    is_tied: bool
    dtype: torch.dtype = torch.bfloat16
    prompts: int = 8
    samples: int = 8
    prompt_tokens: int = 512
    new_tokens: int = 256
    decode_rows: tuple[int, ...] = (64, 256)
    has_peer: bool = False
    """Compare decoding with `transformers`' generate."""


SIZES = {
    "tiny": Size(
        64, 2, 4, 2, 16, 96, 512, True, torch.float32, 3, 4, prompt_tokens=40, new_tokens=24, decode_rows=(12, 24),
        has_peer=True,
    ),
    "0.6b": Size(1024, 28, 16, 8, 128, 3072, 151_936, True, has_peer=True),
    "4b": Size(2560, 36, 32, 8, 128, 9728, 151_936, True),
    "8b": Size(4096, 36, 32, 8, 128, 12_288, 151_936, False),
}  # fmt: skip
"""Qwen3-0.6B, -4B and -8B as published, and one for checks, in fp32."""
LORA_RANK = 16
SMALL_GPU_BYTES = 24 * 10**9


def machine(device: str) -> Figures:
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    return {"device": name, "torch": torch.__version__, "transformers": transformers.__version__}


class Bench:
    """A policy with random weights, and a step's worth of random sequences."""

    def __init__(self, size: str, device: str):
        from peft import LoraConfig, get_peft_model

        self.size = SIZES[size]
        self.device = torch.device(device)
        self._is_gpu = self.device.type == "cuda"
        torch.manual_seed(0)
        self.policy: Any = get_peft_model(
            random_model(self.size, self.device),
            LoraConfig(r=LORA_RANK, lora_alpha=2 * LORA_RANK, target_modules="all-linear", task_type="CAUSAL_LM"),
        )
        self.parameters = [parameter for parameter in self.policy.parameters() if parameter.requires_grad]
        with torch.no_grad():
            for parameter in self.parameters:  # a B of zeros would hide errors in how the adapter is applied
                parameter.add_(0.01 * torch.randn_like(parameter))
        self.model = PackedModel(self.policy)
        self.roofline: Roofline = roofline_of(self.policy)
        self.samples: list[SampledTokens] = []
        stream = np.random.default_rng(0)
        most = max(self.size.prompts, -(-max(self.size.decode_rows) // self.size.samples))
        self.prompts = [stream.integers(0, self.size.vocabulary, self.size.prompt_tokens).tolist() for _ in range(most)]
        self.pairs: list[Pair] = [
            (prompt, stream.integers(0, self.size.vocabulary, self.size.new_tokens).tolist())
            for prompt in self.prompts[: self.size.prompts]
            for _ in range(self.size.samples)
        ]
        size = self.size
        step = JobSize(
            size.prompts, size.samples, size.prompt_tokens, size.new_tokens,
            evaluation_prompts=0, evaluation_samples=1, longest_evaluation_prompt=size.prompt_tokens,
        )  # fmt: skip
        self.job = Job(shape_of(self.policy), step, Device(on_gpu=self._is_gpu), reuse_forward=False, can_merge=False)

    def token_budget(self, memory_bytes: int | None) -> int:
        """Distinct tokens per micro-batch that the planner chooses; the least there is where nothing fits."""
        budgets = choose_budgets(self.job, memory_bytes)
        return budgets.token_budget if budgets is not None else LEAST_TOKENS

    def described(self) -> Figures:
        rates = self.roofline.rates
        return {
            "parameters_billion": sum(parameter.numel() for parameter in self.policy.parameters()) / 1e9,
            "adapter_dtype": str(self.parameters[0].dtype),
            "teraflops": rates.flops / 1e12,
            "gigabytes_per_second": rates.bytes_per_second / 1e9,
        }

    def timed(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """Seconds until the device is done, and what the work returned."""
        self._wait()
        started = time.perf_counter()
        result = work()
        self._wait()
        return time.perf_counter() - started, result

    def _wait(self) -> None:
        if self._is_gpu:
            torch.cuda.synchronize()

    def held_bytes(self) -> int:
        return torch.cuda.memory_allocated() if self._is_gpu else 0

    def reachable_bytes(self) -> int | None:
        """What this process holds and could still take; None where nothing is counted."""
        return self.held_bytes() + torch.cuda.mem_get_info()[0] if self._is_gpu else None

    def forget_peak(self) -> None:
        if self._is_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> Figures:
        """Largest memory held since `forget_peak`, in GB of 10⁹ bytes; nothing on a CPU."""
        return {"peak_gb": torch.cuda.max_memory_allocated() / 1e9} if self._is_gpu else {}


def random_model(size: Size, device: torch.device) -> torch.nn.Module:
    config = transformers.Qwen3Config(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_heads,
        head_dim=size.head_dim,
        tie_word_embeddings=size.is_tied,
        max_position_embeddings=40_960,
    )
    config._attn_implementation = ATTENTION
    usual = torch.get_default_dtype()
    torch.set_default_dtype(size.dtype)
    try:
        with device:
            model: torch.nn.Module = transformers.Qwen3ForCausalLM(config)
    finally:
        torch.set_default_dtype(usual)
    return model.eval().requires_grad_(False)


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
