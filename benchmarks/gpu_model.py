"""What `gpu.py` measures with: policies of published shapes with random weights, and a step's worth of work."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers

from tuneward.engine.attention import ATTENTION
from tuneward.engine.forward import PackedModel
from tuneward.engine.memory_plan import Device, JobSize
from tuneward.engine.planner import LEAST_TOKENS, Job, choose_budgets
from tuneward.engine.roofline import Roofline, roofline_of
from tuneward.engine.sampler import SampledTokens
from tuneward.engine.scorer import Pair
from tuneward.engine.shape import shape_of

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
