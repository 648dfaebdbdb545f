"""How much memory each phase of a job takes at most, from shapes alone, before anything is loaded.

Each part is what a piece of code keeps or makes, named after it; nothing here is fitted to a model. What a decoder
layer keeps for its backward pass was counted tensor by tensor, and tests hold the count to real saved tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuneward.engine.logprob import GPU_CHUNK_ROWS
from tuneward.engine.shape import ModelShape
from tuneward.engine.tree_plan import BLOCK

FP32 = 4
HEAP_SHARE = 0.3
"""On a CPU: what the C library holds on to between micro-batches, as a share of their working memory. They differ in
size, so what one leaves behind fits the next in part only. Measured with glibc: 0.1 to 0.8."""


@dataclass(frozen=True, slots=True)
class JobSize:
    """The largest step and the largest evaluation that a job can make; lengths in tokens."""

    prompts: int
    samples_per_prompt: int
    longest_prompt: int
    longest_completion: int
    evaluation_prompts: int
    evaluation_samples: int
    longest_evaluation_prompt: int

    @property
    def group_tokens(self) -> int:
        """Distinct tokens of one group at most."""
        return self.longest_prompt + self.samples_per_prompt * self.longest_completion

    @property
    def step_tokens(self) -> int:
        """Distinct tokens of one step at most."""
        return self.prompts * self.group_tokens


@dataclass(frozen=True, slots=True)
class Device:
    """Where a job runs, as far as memory goes."""

    on_gpu: bool
    process_bytes: int = 0
    """Of the process with its libraries, where those count: on a CPU."""
    converted_bytes: int = 0
    """Of weight files that are not loaded as they are: read and converted, both are in memory once."""

    @property
    def number_bytes(self) -> int:
        """Bytes of a weight: bf16 on a GPU, fp32 on a CPU."""
        return 2 if self.on_gpu else FP32


@dataclass(frozen=True, slots=True)
class Budgets:
    """What trades memory for time; none of it changes what is learned."""

    token_budget: int
    """Distinct tokens per micro-batch."""
    record_tokens: int
    """Tokens whose layer outputs sampling keeps for the update; 0 computes them again."""
    merged: bool
    """Sampling runs on merged copies of the weights."""
    max_rows: int
    """Completions decoded together at most."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes by phase (load, rollout, update, evaluation) and part."""

    phases: Mapping[str, Mapping[str, int]]

    def phase_bytes(self, phase: str) -> int:
        return sum(self.phases[phase].values())

    @property
    def peak_phase(self) -> str:
        return max(self.phases, key=self.phase_bytes)

    @property
    def peak_bytes(self) -> int:
        return self.phase_bytes(self.peak_phase)


def memory_plan(
    shape: ModelShape, size: JobSize, budgets: Budgets, device: Device, *, samples_here: bool = True, beta: float = 0.0
) -> MemoryPlan:
    """Predict the memory of a job.

    Args:
        shape: of model and adapter.
        size: the largest step.
        budgets: chosen sizes.
        device: where it runs.
        samples_here: False when another process samples.
        beta: weight of the KL penalty; above 0 the reference runs while the policy's activations are kept.
    """
    number = device.number_bytes
    always = {
        "process and libraries": device.process_bytes,
        "weights": shape.weights * number,
        # Adam's two moments, and what a bad update rolls back to: adapter and moments once more.
        "adapter and optimizer": 6 * shape.adapter * FP32,
    }
    held = always | _held(shape, size, budgets, number)
    phases = {
        "load": {
            "process and libraries": device.process_bytes,
            "weights": shape.weights * number,
            "weight files": device.converted_bytes,
        },
        "rollout": held,
        "update": held | update_parts(shape, size, budgets, device, beta=beta),
        "evaluation": held,
    }
    if samples_here:
        merged = {"merged copies": shape.linear * number if budgets.merged else 0}
        waves = {
            "rollout": (size.prompts, size.samples_per_prompt, size.longest_prompt),
            "evaluation": (size.evaluation_prompts, size.evaluation_samples, size.longest_evaluation_prompt),
        }
        for phase, (prompts, samples, longest) in waves.items():
            groups = min(prompts, max(1, budgets.max_rows // samples))
            phases[phase] = (
                held | merged | _sampling_parts(shape, groups, samples, longest, size, budgets.merged, device)
            )
    return MemoryPlan({name: {part: count for part, count in parts.items() if count} for name, parts in phases.items()})


def record_bytes(shape: ModelShape, size: JobSize, tokens: int, number: int) -> int:
    """Of a `ForwardRecord` that holds so many tokens; logits are kept where completions are, not inside prompts."""
    heads = min(tokens, size.prompts * (1 + size.samples_per_prompt * size.longest_completion))
    return number * (tokens * shape.adapted_outputs + heads * shape.vocabulary)


def _held(shape: ModelShape, size: JobSize, budgets: Budgets, number: int) -> dict[str, int]:
    """Memory that outlives the phase it comes from."""
    tokens = min(budgets.record_tokens, size.step_tokens)
    return {
        "forward record": record_bytes(shape, size, tokens, number),
        "merged copies": shape.frozen_linear * number if budgets.merged else 0,
    }


def _sampling_parts(
    shape: ModelShape, groups: int, samples: int, longest: int, size: JobSize, merged: bool, device: Device
) -> dict[str, int]:
    number, rows, prompt_tokens = device.number_bytes, groups * samples, groups * longest

    def forward(tokens: int) -> int:
        # Residual stream, its norm, and three wide tensors of the feed-forward part at once.
        wide = (2 * shape.hidden + 3 * shape.inner) * number
        # Unmerged, an adapted layer makes its input and two outputs once more in fp32.
        adapter = 0 if merged else 3 * shape.inner * FP32
        return tokens * (wide + adapter)

    own = rows * size.longest_completion * shape.key_value * number
    # Products with prompt and own keys, both together, and the probabilities.
    scores = 3 * rows * shape.heads * (longest + size.longest_completion) * FP32
    drawing = rows * draw_bytes_per_row(shape.vocabulary, device)
    prefill = forward(prompt_tokens)
    decode = own + max(scores + forward(rows), drawing)
    parts = {"prompts' keys and values": prompt_tokens * shape.key_value * number}
    if prefill > decode:
        return parts | {"activations": prefill}
    return parts | {"completions' keys and values": own, "logits and draws": decode - own}


def draw_bytes_per_row(vocabulary: int, device: Device) -> int:
    """Of one row while a token is drawn: logits in fp32, probabilities, and those once more, padded to whole blocks. A
    GPU's half-precision logits come on top, and it decodes into a buffer of its own that it keeps."""
    return vocabulary * (3 * FP32 + (2 * device.number_bytes if device.on_gpu else 0))


def update_parts(
    shape: ModelShape, size: JobSize, budgets: Budgets, device: Device, *, beta: float = 0.0
) -> dict[str, int]:
    """Of the largest micro-batch; a completion that exceeds the budget by itself is one all the same."""
    number = device.number_bytes
    longest = size.longest_prompt + size.longest_completion
    tokens = max(min(budgets.token_budget, size.step_tokens), longest - 1)
    # Logits are wanted where completions are, and prompts may be short.
    predicting = min(tokens, size.prompts * size.samples_per_prompt * size.longest_completion)
    logits = predicting * shape.vocabulary * number
    if device.on_gpu:
        logits += 3 * GPU_CHUNK_ROWS * shape.vocabulary * FP32
    # Gradients inside one layer, made when the logits are gone: the feed-forward part's are the widest.
    gradients = tokens * (4 * shape.inner + 2 * shape.hidden) * number
    activations = tokens * activation_bytes_per_token(shape, number)
    parts = {"gradients": shape.adapter * FP32, "adapted experts": shape.stacked * number}
    if not device.on_gpu:  # a block of queries with all it sees: a mask, and what the mask was made of
        parts["attention masks"] = tokens * min(longest + BLOCK, tokens) * (FP32 + 1 + 8)
    reference = logits + tokens * (2 * shape.hidden + 3 * shape.inner) * number if beta > 0 else 0
    working = activations + max(logits, gradients) + reference
    # The optimizer's step copies adapter and moments for the way back before it drops the last copy.
    stepping = 3 * shape.adapter * FP32
    if stepping > working:
        return parts | {"copies to roll back to": stepping}
    if not device.on_gpu:
        parts["freed between micro-batches"] = int(HEAP_SHARE * working)
    return parts | {"activations": activations, "logits": max(logits, gradients) + reference}


def activation_bytes_per_token(shape: ModelShape, number: int) -> int:
    """What one token keeps for the backward pass in all layers.

    Norms keep their input in fp32. Adapted layers keep their input, which in fp32 all readers of a tensor share; in
    half precision each has an fp32 copy of its own, since the adapter is fp32.
    """
    inputs = shape.distinct_adapted_inputs if number == FP32 else shape.adapted_inputs
    in_fp32 = shape.norm_inputs + inputs + shape.adapter_inner
    return in_fp32 * FP32 + (shape.attention + shape.feed_forward) * number
